/* One case after the other, without waiting: the page works without this module, only slower.
 *
 * Every button is a form. Here it is sent in the background while the next case, loaded and claimed beforehand, takes
 * the place of this one. Keys press the buttons that name them in `data-key`.
 */

import { enhance } from "./combobox.js";
import { csrf, Outbox, Refused, why } from "./outbox.js";
import { Zoom } from "./zoom.js";

const A_DOUBLE_CLICK = 300; // milliseconds in which a second click is no second thought
const DONE = "review-done"; // in the tab's storage: how many were decided in it

const alerts = document.getElementById("review-alerts");
const status = document.querySelector(".review-status");
const keys = document.querySelector(".review-keys");

const outbox = new Outbox({ onStuck: tellStuck, onMoving: () => stuck?.remove() });
const steps = []; // what was done from this page, newest last: the `decision` that was stored, or the page that was skipped
const ahead = []; // promises of the cases that come next
let latest = Promise.resolve(true); // whether what was sent last has been stored
let stuck = null; // the alert that says what is not stored
let current = { section: document.getElementById("review"), title: document.title, address: location.href };
let isReady = false; // whether the case on the page has been painted: nothing decides one that nobody has seen
let shownAt = 0;
let told = ""; // what was said last, without how many are done

// --- Showing a case -------------------------------------------------------------------------------

/** Loads the page of a case, with its picture. */
async function load(address, options = {}) {
  const response = await fetch(address, { headers: { Accept: "text/html" }, ...options });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const loaded = page.getElementById("review");
  if (!loaded) throw new Error(why(response));
  // A copy, because pictures in a parsed document are not loaded.
  const section = document.importNode(loaded, true);
  const claimEnds = Date.now() + 1000 * Number(section.dataset.claimSeconds ?? Infinity);
  const result = { section, title: page.title, address: response.url, claimEnds };
  prepare(result);
  await picture(section);
  return result;
}

/** What a section needs once, before it is shown. */
function prepare(page) {
  const { section } = page;
  const image = section.querySelector(".picture-frame img");
  if (image) {
    page.zoom = new Zoom(section.querySelector(".picture-frame"), section.querySelector(".zoom-button"));
    image.addEventListener("error", () => picture(section));
  }
  const input = section.querySelector("input[data-combobox]");
  if (input) enhance(input, { onTake: () => input.form.requestSubmit() });
}

/** Returns when the picture can be painted. Without a picture, the page says so. */
async function picture(section) {
  const image = section.querySelector(".picture-frame img");
  if (!image) return;
  try {
    await image.decode();
  } catch {
    if (image.complete && image.naturalWidth) return; // only not decoded beforehand
    section.querySelector(".picture-frame").hidden = true;
    section.querySelector(".picture-missing").hidden = false;
  }
}

function show(page, { push = true } = {}) {
  isReady = false;
  current.section.replaceWith(page.section);
  busy(false);
  current = page;
  document.title = page.title;
  if (push) history.pushState(null, "", page.address);
  page.section.querySelector("h1").focus({ preventScroll: true });
  scrollTo({ top: 0 });
  painted();
  lookAhead();
}

function painted() {
  requestAnimationFrame(() =>
    setTimeout(() => {
      isReady = true;
      shownAt = Date.now();
    }),
  );
}

function busy(is) {
  current.section.setAttribute("aria-busy", String(is));
}

// --- What comes next ------------------------------------------------------------------------------

/** Claims and loads the next case while somebody looks at this one. */
function lookAhead() {
  if (ahead.length || !current.section.querySelector("#decide")) return;
  const loading = loadNext([current.section.dataset.case]);
  loading.catch(() => {}); // said when it is wanted
  ahead.push(loading);
}

/** `besides`: cases that it must not be. Those on their way to the server are still open there. */
function loadNext(besides) {
  const body = new URLSearchParams();
  for (const number of [...besides, ...outbox.jobs.map((job) => job.number)]) if (number) body.append("besides", number);
  return load(current.section.dataset.next, { method: "POST", body, headers: { Accept: "text/html", ...csrf() } });
}

async function goOn() {
  const left = current.section.dataset.case;
  isReady = false;
  busy(true);
  try {
    let page = await ahead.shift()?.catch(() => null);
    // A claim may have run out, cases may have come, the network may be back.
    if (!page?.section.dataset.case || page.claimEnds < Date.now()) page = await loadNext([left]);
    show(page);
  } catch (error) {
    busy(false);
    warn(`The next case could not be loaded. ${error.message}`, { action: ["Try again", goOn] });
  }
}

// --- Deciding -------------------------------------------------------------------------------------

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!current.section.contains(form) || "leaves" in form.dataset) return;
  event.preventDefault();
  if (!isReady) return;
  if (form.matches(".review-undo")) undo(form);
  else decide(form, event.submitter);
});

async function decide(form, button) {
  const page = current;
  const number = page.section.dataset.case;
  page.alert?.remove();
  const isSkip = "uncounted" in (button?.dataset ?? {});
  const waits = "waits" in form.dataset; // what was typed may not be right: then it must still be there
  const sent = outbox.post(form.action, new URLSearchParams(new FormData(form, button)), { number });
  latest = sent.then(
    () => true,
    () => false,
  );
  if (!isSkip) count(1);
  if (waits) {
    isReady = false;
    busy(true);
  } else {
    tell(`Case ${number}: ${button.dataset.said}.`);
    goOn();
  }
  try {
    const { decision, said } = await sent;
    steps.push(isSkip ? { page } : { decision });
    if (!waits) return;
    tell(said);
    goOn();
  } catch (refused) {
    if (!isSkip) count(-1);
    tell(told.startsWith(`Case ${number}:`) ? `Case ${number}: not stored.` : told);
    if (waits) {
      busy(false);
      painted();
      form.querySelector("input[type=text], textarea").focus();
    }
    const link = page === current ? undefined : [`Look at case ${number}`, page.address];
    page.alert = warn(`Case ${number} was not stored. ${refused.message}`, { link });
  }
}

/** Takes back what this page says, or else the last thing that was done; and goes back there. */
async function undo(form) {
  const page = current;
  const body = new URLSearchParams(new FormData(form));
  isReady = false;
  busy(true);
  try {
    const isStored = await latest;
    latest = Promise.resolve(true);
    if (!isStored) return; // the alert says so: there is nothing to take back of it
    const step = body.has("decision") ? null : steps.at(-1);
    if (step?.decision) body.set("decision", step.decision);
    const answer = step?.page
      ? { address: step.page.address, said: `Back to case ${step.page.section.dataset.case}.` }
      : await outbox.post(form.action, body);
    if (step) steps.pop();
    if (!step?.page) count(-1);
    const again = await load(answer.address);
    // What was left comes back after it.
    if (page.section.querySelector("#decide") && page.section.dataset.case !== again.section.dataset.case) {
      ahead.unshift(Promise.resolve(page));
    }
    show(again);
    tell(answer.said);
  } catch (error) {
    warn(error instanceof Refused ? error.message : `The case could not be loaded. ${error.message}`);
  } finally {
    if (page === current) {
      busy(false);
      painted();
    }
  }
}

// --- Telling --------------------------------------------------------------------------------------

function count(by) {
  sessionStorage.setItem(DONE, Math.max(0, Number(sessionStorage.getItem(DONE)) + by));
}

function tell(text) {
  told = text;
  const done = Number(sessionStorage.getItem(DONE));
  status.textContent = done ? `${text} ${done} done in this session.` : text;
}

/** `link`: text and address; `action`: text and what it does. Stays until somebody takes it away. */
function warn(text, { link, action } = {}) {
  const box = document.createElement("div");
  const sentence = document.createElement("p");
  sentence.textContent = text;
  box.append(sentence);
  if (link) {
    const anchor = document.createElement("a");
    [anchor.textContent, anchor.href] = link;
    box.append(anchor);
  }
  const [title, act] = action ?? ["Close", () => {}];
  const button = document.createElement("button");
  button.type = "button";
  button.className = "review-button";
  button.textContent = title;
  button.addEventListener("click", () => {
    box.remove();
    act();
  });
  box.append(button);
  alerts.append(box);
  return box;
}

function tellStuck(jobs, reason) {
  stuck?.remove();
  const numbers = jobs.map((job) => job.number).filter(Boolean).join(", ");
  const what = numbers ? `Not stored: case ${numbers}.` : "Not done.";
  const link = reason.includes("logged in") ? ["Log in in another tab", current.address] : undefined;
  stuck = warn(`${what} ${reason} Nothing is lost as long as this page stays open.`, {
    link,
    action: ["Retry", () => outbox.retry()],
  });
  const anchor = stuck.querySelector("a");
  if (anchor) anchor.target = "_blank";
}

addEventListener("beforeunload", (event) => {
  if (!outbox.isEmpty) event.preventDefault();
});

// --- Keys -----------------------------------------------------------------------------------------

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
  const field = event.target.closest("input, textarea, select");
  if (field) type(event, field);
  else if (event.repeat) return;
  else if (press(event)) event.preventDefault();
});

function type(event, field) {
  if (event.key === "Escape") {
    leave(field);
    event.preventDefault();
  } else if (event.key === "Enter" && field.matches("#note") && !event.shiftKey) {
    event.preventDefault();
    field.form.requestSubmit(field.form.querySelector("[type=submit]"));
  }
}

function leave(field) {
  const flag = field.closest("details");
  if (flag) flag.open = false;
  current.section.querySelector("h1").focus({ preventScroll: true });
}

/** Whether the key means something here. */
function press(event) {
  const { zoom } = current;
  const others = {
    "?": () => (keys.open = !keys.open),
    Escape: () => (keys.open ? (keys.open = false) : zoom?.isZoomed && zoom.toggle()),
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
  if (others[event.key]) {
    others[event.key]();
    return true;
  }
  const control = [...current.section.querySelectorAll("[data-key]")].find((one) => one.dataset.key === letter(event));
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
 * The letter or digit on a key; its place on the keyboard decides where the layout has no such letter. After 1 to 5, an
 * O is easily read as a zero: that means it too.
 */
function letter({ key, code, shiftKey }) {
  if (key === "0") return "o";
  if (/^[a-z0-9]$/i.test(key) || shiftKey) return key.toLowerCase();
  return code.replace(/^(Key|Digit|Numpad)/, "").toLowerCase();
}

// --- The mouse, and the way back ------------------------------------------------------------------

document.addEventListener(
  "click",
  (event) => {
    const isSecond = event.detail > 1 && Date.now() - shownAt < A_DOUBLE_CLICK;
    if (isSecond && event.target.closest("#review [type=submit]")) event.preventDefault();
    if (keys.open && !keys.contains(event.target)) keys.open = false;
  },
  { capture: true },
);

// Who leaves does not look at what was claimed beforehand. What he has decided meanwhile is no claim any more.
addEventListener("pagehide", () => {
  for (const loading of ahead.splice(0)) loading.then(giveBack, () => {});
});

function giveBack({ section }) {
  const { case: number, release } = section.dataset;
  if (!number || number === current.section.dataset.case) return;
  const body = new URLSearchParams({ case: number });
  fetch(release, { method: "POST", body, headers: csrf(), keepalive: true }).catch(() => {}); // it runs out by itself
}

// Back on this page, as the browser has kept it.
addEventListener("pageshow", (event) => {
  if (event.persisted) lookAhead();
});

addEventListener("popstate", async () => {
  if (new URL(current.address).href.split("#")[0] === location.href.split("#")[0]) return; // a jump within the page
  busy(true);
  try {
    show(await load(location.href), { push: false });
  } catch (error) {
    busy(false);
    warn(`The case could not be loaded. ${error.message}`, { action: ["Try again", () => location.reload()] });
  }
});

prepare(current);
picture(current.section).then(painted).then(lookAhead);
