/* Previews of pictures from the visitor's own files. Many are drawn small, when they come into view, a few at a time. */

const MOST_AT_ONCE = 2;
const WIDTH = 240; // pixels of a small preview
const waiting = new WeakMap(); // uploads by element, whose preview comes into view first
let drawing = 0;

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) visible.add(target);
      else visible.delete(target);
    }
    draw();
  },
  { rootMargin: "300px" },
);
const visible = new Set();

/** Shows a small preview in an element as soon as it comes into view. */
export function showSmall(element, upload) {
  waiting.set(element, upload);
  observer.observe(element);
}

/** Shows a preview as large as its element. */
export function showLarge(element, { file, name }) {
  const image = document.createElement("img");
  image.alt = "";
  const address = URL.createObjectURL(file);
  image.src = address;
  const revoke = () => URL.revokeObjectURL(address);
  image.addEventListener("load", revoke, { once: true });
  image.addEventListener("error", () => {
    revoke();
    showKind(element, name);
  });
  element.replaceChildren(image);
}

function draw() {
  for (const element of visible) {
    if (drawing >= MOST_AT_ONCE) return;
    const upload = waiting.get(element);
    if (!upload) continue;
    waiting.delete(element);
    observer.unobserve(element);
    visible.delete(element);
    if (!element.isConnected) continue;
    drawing += 1;
    drawSmall(element, upload).finally(() => {
      drawing -= 1;
      draw();
    });
  }
}

async function drawSmall(element, { file, name, prediction }) {
  try {
    const bitmap = await createImageBitmap(file, { resizeWidth: WIDTH, resizeQuality: "medium" });
    const canvas = document.createElement("canvas");
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    element.replaceChildren(canvas);
  } catch {
    // The file is not kept any more, or the browser cannot show its format.
    if (prediction) showThumbnail(element, prediction, name);
    else showKind(element, name);
  }
}

/** Shows the thumbnail that the site makes of the picture. Only its sender may see it. */
function showThumbnail(element, { links }, name) {
  const image = document.createElement("img");
  image.alt = "";
  image.src = `${new URL(links.page).pathname}thumbnail`;
  image.addEventListener("error", () => showKind(element, name));
  element.replaceChildren(image);
}

/** Shows the kind of a file in place of its preview. */
function showKind(element, name) {
  const kind = document.createElement("span");
  kind.className = "card-kind";
  kind.textContent = name.match(/\.(\w{1,5})$/)?.[1].toUpperCase() ?? "?";
  element.replaceChildren(kind);
}
