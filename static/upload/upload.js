/* The upload page: gives the chosen pictures to the queue of uploads, which sends them in the background. Without this
 * module, or before it is loaded, the browser sends one picture by the form itself.
 *
 * The modules of the queue are loaded with the visitor's first action on the page, before a network that goes away
 * could keep the page from using them.
 */

import { listen } from "./sources.js";

const FIRST_ACTIONS = ["pointerover", "pointerdown", "keydown", "focusin", "dragenter"];
const RETRY = 3000; // milliseconds until the modules are loaded again, if that was not possible
const DOUBLE_CLICK = 1000; // milliseconds between two presses
const form = document.querySelector("form.upload");
const page = location.pathname;
let loading = null;

/** Returns the queue of uploads, a promise. It is created once. */
function uploads() {
  loading ??= import("./page.js").then(({ create }) => create(form));
  loading.catch(() => (loading = null)); // the next call tries again
  return loading;
}

/** Loads the queue. If that fails, adding a picture tries again. */
function preload() {
  uploads().catch((error) => console.warn("Could not load the queue of uploads:", error));
}

async function add(files) {
  for (;;) {
    try {
      (await uploads()).add(files);
      say("");
      return;
    } catch (error) {
      console.warn("Could not load the queue of uploads:", error);
      say("The site can't be reached at the moment. Please keep this page open: it keeps trying to send your pictures.");
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
}

function say(text) {
  const notice = document.createElement("p");
  notice.className = "notice notice-warning";
  notice.textContent = text;
  document.getElementById("rejection").replaceChildren(...(text ? [notice] : []));
}

function enhance() {
  const field = form.querySelector("#file");
  const label = form.querySelector("label[for=file]");
  form.classList.add("is-enhanced");
  field.multiple = true;
  // Computers send HEIC as it is. Phones show such photos anyway, and iPhones send them as JPEG if it is not accepted.
  if (matchMedia("(pointer: fine)").matches) field.accept += ",image/heic,.heic,.heif";
  label.textContent = label.dataset.enhanced;
  form.querySelector("button[type=submit]").hidden = true; // choosing is enough
  for (const hidden of form.querySelectorAll(".drop-words, .originals")) hidden.hidden = false;
  field.addEventListener("change", () => {
    const files = [...field.files];
    field.value = ""; // the same file may be chosen again
    if (files.length) add(files);
  });
  listen(form, add);
}

/** Ignores the second press of a double click. A later one counts: the visitor may have stopped the first. */
function ignoreDoubleClicks(examples) {
  let pressedAt = -Infinity;
  examples.addEventListener("submit", (event) => {
    if (event.timeStamp - pressedAt < DOUBLE_CLICK) event.preventDefault();
    else pressedAt = event.timeStamp;
  });
}

/** Whether earlier pages have left uploads in this browser; see `store.js`. */
function hasKept() {
  try {
    return localStorage.getItem("uploads-kept") !== null;
  } catch {
    return false; // the visitor allows no storage
  }
}

// The result page is shown in place of this one, so Back and Forward change the address only. The link "Skip to content"
// causes the event, too, and keeps the page.
addEventListener("popstate", () => {
  if ((location.pathname === page) !== form.isConnected) location.reload();
});

enhance();
const examples = document.querySelector("form.examples"); // EXAMPLES=off: none
if (examples) ignoreDoubleClicks(examples);
if (hasKept()) preload();
for (const name of FIRST_ACTIONS) document.addEventListener(name, preload, { once: true, passive: true });
