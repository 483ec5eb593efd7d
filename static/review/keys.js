/* The keys of the focus view. Each key that presses a button or focuses a field is declared once, as the `data-key` of
 * that element in templates/admin/review/case/focus.html; the keys that belong to no element are listed in `press`.
 */

const help = document.querySelector(".review-keys");
const toggle = document.getElementById("single-keys");
const SETTING = "review-single-keys"; // key in the local storage; "off" turns single keys off in this browser

// Speech input and slips of the hand can press single keys (WCAG 2.1.4).
function areOn() {
  return localStorage.getItem(SETTING) !== "off";
}

/** Declares the keys of a page to assistive technology, unless they are turned off. */
export function describeKeys(section) {
  for (const control of section.querySelectorAll("[data-key]")) {
    if (areOn()) control.setAttribute("aria-keyshortcuts", control.dataset.key);
    else control.removeAttribute("aria-keyshortcuts");
  }
}

/** Shows whether single keys are on. */
function showSetting() {
  toggle.checked = areOn();
  toggle.closest("label").hidden = false;
  document.body.classList.toggle("without-keys", !areOn());
  describeKeys(document.body);
}

/** Handles keys. `page()` returns the page of the current case; `isReady()` says whether the case can be decided. */
export function listenToKeys({ page, isReady }) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    const field = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (field) type(event, field, page());
    else if (event.repeat) return;
    else if (press(event, page(), isReady())) event.preventDefault();
  });
  toggle.addEventListener("change", () => {
    localStorage.setItem(SETTING, toggle.checked ? "on" : "off");
    showSetting();
  });
  addEventListener("storage", showSetting); // another tab has changed it
  showSetting();
  document.addEventListener(
    "click",
    (event) => {
      if (help.open && !help.contains(event.target)) help.open = false;
    },
    { capture: true },
  );
}

/** Handles Escape and Enter in a field. */
function type(event, field, page) {
  if (event.key === "Escape") {
    const flag = field.closest("details");
    if (flag) flag.open = false;
    page.section.querySelector("h1").focus({ preventScroll: true });
    event.preventDefault();
  } else if (event.key === "Enter" && field.matches("#note") && !event.shiftKey) {
    event.preventDefault();
    field.form.requestSubmit(field.form.querySelector("[type=submit]"));
  }
}

/** Handles a key that is pressed outside fields. Returns whether the key has a meaning. */
function press(event, { section, zoom }, isReady) {
  const actions = {
    "?": () => (help.open = !help.open),
    Escape: () => (help.open ? (help.open = false) : zoom?.isZoomed && zoom.toggle()),
    "+": () => zoom?.step(1.5),
    "=": () => zoom?.step(1.5),
    "-": () => zoom?.step(1 / 1.5),
    ...(zoom?.isZoomed && {
      ArrowLeft: () => zoom.pan(-0.2, 0),
      ArrowRight: () => zoom.pan(0.2, 0),
      ArrowUp: () => zoom.pan(0, -0.2),
      ArrowDown: () => zoom.pan(0, 0.2),
    }),
  };
  const isSingle = event.key !== "Escape" && !event.key.startsWith("Arrow");
  if (isSingle && !areOn()) return false;
  if (actions[event.key]) {
    actions[event.key]();
    return true;
  }
  const control = [...section.querySelectorAll("[data-key]")].find((one) => one.dataset.key === letter(event));
  if (!control) return false;
  if (!isReady) return true;
  if (control.matches("summary")) {
    control.parentElement.open = true;
    control.parentElement.querySelector("textarea").focus();
  } else if (control.matches("input")) {
    control.focus();
  } else {
    control.click();
  }
  return true;
}

/**
 * Returns the letter or digit of a key. If the keyboard layout has no Latin letter there, the position of the key
 * counts. Zero means O, which is easily misread next to the keys of labels.
 */
function letter({ key, code, shiftKey }) {
  if (key === "0") return "o";
  if (/^[a-z0-9]$/i.test(key) || shiftKey) return key.toLowerCase();
  return code.replace(/^(Key|Digit|Numpad)/, "").toLowerCase();
}
