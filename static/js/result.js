/* The result page: loads what its state needs, copies its link, and toggles between the picture and the model's view.
 *
 * `start(root)` starts the result page that is in `root`. The module calls it for the page that it is loaded with, and
 * other modules call it for a result page that they have inserted. Starting a page twice is harmless. Without the module
 * the page reloads itself while it waits, and everything else is a form or a link.
 */

const COPIED_SECONDS = 3;
const RETRY_SECONDS = 5;
let announcer = null;

/** Starts the result page in `root`, if there is one. */
export function start(root = document) {
  const result = root.querySelector(".result:not([data-is-started])");
  if (!result) return;
  result.dataset.isStarted = "";
  prepareAnnouncements();
  load(result).catch((error) => {
    console.warn("A part of the page could not be loaded:", error);
    if (result.querySelector("#waiting")) reloadLater(result);
  });
  showTimes(result);
  offerCopy(result.querySelector("[data-copy]"));
  offerModelView(result.querySelector("[data-model-view]"));
}

async function load(result) {
  const waiting = result.querySelector("#waiting");
  const feedback = result.querySelector("#feedback");
  if (waiting) (await import("./waiting.js")).follow(waiting, result.querySelector("[data-cancel]"), showAnswer);
  if (feedback) (await import("./feedback.js")).listen(feedback, showFeedback);
}

/** Loads the page anew as soon as the site answers. Without that, its visitor would not see the answer. */
async function reloadLater(result) {
  const { page } = result.querySelector("#waiting").dataset;
  let isThere = false;
  while (!isThere) {
    await new Promise((resolve) => setTimeout(resolve, RETRY_SECONDS * 1000));
    isThere = await fetch(page).then(({ ok }) => ok, () => false);
  }
  if (result.isConnected) location.assign(page);
}

/** Shows the page of a prediction that has settled. Announces what it says; moves the focus only if its element goes. */
function showAnswer(page) {
  const hadFocus = document.getElementById("main").contains(document.activeElement);
  show(page);
  const title = document.getElementById("answer") ?? document.querySelector("main h1");
  if (!title) return;
  if (hadFocus) focus(title);
  announce([title, title.nextElementSibling].map((element) => element?.textContent.trim()).join(". "));
}

/** Shows the page that answers a feedback form. The focus goes to the field with an error, or to what the page says. */
function showFeedback(page) {
  show(page);
  const main = document.getElementById("main");
  const target = ["[autofocus]", "[role=alert]", ".thanks", "h1"].map((one) => main.querySelector(one)).find(Boolean);
  if (target) focus(target);
}

/** Replaces the content of <main> by that of a loaded page. The picture stays where it is, and does not load again. */
function show(page) {
  const main = document.getElementById("main");
  const content = page.getElementById("main");
  const shown = main.querySelector(".picture");
  const next = content.querySelector(".picture");
  if (shown && next && shown.dataset.prediction === next.dataset.prediction) {
    next.querySelector("img").replaceWith(shown.querySelector("img"));
  }
  main.replaceChildren(...content.childNodes);
  document.title = page.title;
  start(main);
}

function focus(element) {
  if (!element.matches("input, textarea, button, a")) element.tabIndex = -1;
  element.focus({ preventScroll: true });
  element.scrollIntoView({ block: "nearest" });
}

/** Adds the element whose text screen readers announce: they need it before its text changes. */
function prepareAnnouncements() {
  if (announcer) return;
  announcer = document.createElement("div");
  announcer.className = "visually-hidden";
  announcer.setAttribute("role", "status");
  document.body.append(announcer);
}

function announce(text) {
  announcer.textContent = text;
}

/** Shows times in the visitor's language and time zone; the page has them in UTC. */
function showTimes(result) {
  for (const time of result.querySelectorAll("time[datetime]")) {
    time.title = time.textContent;
    time.textContent = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  }
}

/** Shows the button that copies the page's address. Browsers offer the clipboard to secure pages only. */
function offerCopy(button) {
  if (!button || !navigator.clipboard) return;
  const name = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(new URL(button.dataset.copy, document.baseURI).href);
      button.textContent = "Copied";
    } catch (error) {
      console.warn("Could not copy:", error);
      button.textContent = "Could not copy";
    }
    announce(button.textContent);
    setTimeout(() => {
      button.textContent = name;
      announce("");
    }, COPIED_SECONDS * 1000);
  });
}

/** Turns the link to the model's view into a button that shows it in the place of the picture. */
function offerModelView(link) {
  if (!link) return;
  const frame = link.closest(".picture").querySelector(".picture-frame");
  const picture = frame.querySelector("img");
  let view = null;
  const toggle = document.createElement("button");
  toggle.type = "button";
  toggle.className = "button";
  toggle.textContent = link.textContent;
  toggle.setAttribute("aria-pressed", "false");
  const show = (isShown) => {
    view.hidden = !isShown;
    picture.classList.toggle("is-behind", isShown);
    toggle.setAttribute("aria-pressed", String(isShown));
  };
  toggle.addEventListener("click", () => {
    if (!view) {
      view = appendModelView(frame, link.href);
      // The model version that answered may be installed no longer.
      view.addEventListener("error", () => {
        show(false);
        toggle.disabled = true;
        toggle.textContent = "The model's view isn't available";
        announce(toggle.textContent);
      });
    }
    show(view.hidden);
  });
  link.replaceWith(toggle);
}

function appendModelView(frame, address) {
  const view = document.createElement("img");
  view.className = "model-view";
  view.alt = "The part of the picture that the model was given";
  view.hidden = true;
  view.src = address;
  frame.append(view);
  return view;
}

start();
