/* Shows the result page in place of the upload page, without loading the page anew: the picture stays where it is. */

/** Loads the result page of an upload. Returns its document. Throws if it cannot be loaded. */
export async function load({ prediction }) {
  const response = await fetch(path(prediction.links.page), { headers: { Accept: "text/html" } });
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  await Promise.all([addStyles(page), ...modules(page).map((address) => import(address))]);
  return page;
}

/** Shows a loaded result page, under its own address. */
export async function show(page, { prediction, file }) {
  const main = document.adoptNode(page.querySelector("main"));
  keepPreview(main.querySelector(".picture img"), file);
  document.querySelector("main").replaceWith(main);
  document.querySelector(".site-header [aria-current]")?.removeAttribute("aria-current"); // that page is left
  document.title = page.title;
  history.pushState(null, "", path(prediction.links.page));
  scrollTo(0, 0);
  const heading = main.querySelector("h1");
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true }); // screen readers read the answer
  for (const address of modules(page)) {
    const module = await import(address);
    module.start?.(main);
  }
}

function modules(page) {
  return [...page.querySelectorAll('head script[type="module"][src]')].map(({ src }) => src);
}

/** The path of a link of the API. A proxy may make the site build its links with another host than the page has. */
function path(link) {
  return new URL(link).pathname;
}

/** Adds the styles that only the result page has, and waits until they are loaded. */
async function addStyles(page) {
  const own = new Set([...document.querySelectorAll('link[rel="stylesheet"]')].map(({ href }) => href));
  const missing = [...page.querySelectorAll('head link[rel="stylesheet"]')].filter(({ href }) => !own.has(href));
  await Promise.all(
    missing.map(({ href }) => {
      const link = document.createElement("link");
      Object.assign(link, { rel: "stylesheet", href });
      const loaded = new Promise((resolve) => ["load", "error"].forEach((name) => link.addEventListener(name, resolve)));
      document.head.append(link);
      return loaded;
    }),
  );
}

/** Shows the visitor's own file until the picture of the site is loaded. */
function keepPreview(image, file) {
  if (!image || !file) return;
  const address = image.src;
  const preview = URL.createObjectURL(file);
  const loaded = new Image();
  image.src = preview;
  const replace = () => {
    image.src = address;
    URL.revokeObjectURL(preview);
  };
  image.addEventListener("error", replace, { once: true }); // the browser cannot show the format
  loaded.addEventListener("load", () => image.src === preview && replace());
  loaded.src = address;
}
