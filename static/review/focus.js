/* The focus view: shows one case after the other without waiting. The page works without this module, only slower.
 *
 * Every button belongs to a form. This module sends the form in the background and shows the next case, which it has
 * claimed and loaded in advance. keys.js handles the keys, outbox.js sends the forms, zoom.js enlarges the picture.
 */

import { enhance } from "../js/combobox.js";
import { listenToKeys } from "./keys.js";
import { csrf, Outbox, Rejected, why } from "./outbox.js";
import { Zoom } from "./zoom.js";

const DOUBLE_CLICK = 300; // milliseconds
const DONE = "review-done"; // key in the tab's session storage: how many cases were decided in this tab

const alerts = document.getElementById("review-alerts");
const status = document.querySelector(".review-status");

const outbox = new Outbox({ onStuck: tellStuck, onMoving: () => stuck?.remove() });
const steps = []; // what was done on this page, newest last: a stored `decision`, or the `page` that was skipped
const ahead = []; // promises of the next pages
let latest = Promise.resolve(true); // whether the form that was sent last has been stored
let stuck = null; // the alert that names the cases that are not saved yet
let current = { section: document.getElementById("review"), title: document.title, address: location.href };
let isReady = false; // whether the case has been painted; nobody can decide a case that they have not seen
let shownAt = 0;
let told = ""; // the latest status, without the number of decided cases

// --- Showing a case -------------------------------------------------------------------------------

/** Loads the page of a case, with its picture. */
async function load(address, options = {}) {
  const response = await fetch(address, { headers: { Accept: "text/html" }, ...options });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const loaded = page.getElementById("review");
  if (!loaded) throw new Error(why(response));
  // A copy: browsers do not load the pictures of a parsed document.
  const section = document.importNode(loaded, true);
  const claimEnds = Date.now() + 1000 * Number(section.dataset.claimSeconds ?? Infinity);
  const result = { section, title: page.title, address: response.url, claimEnds };
  prepare(result);
  await picture(section);
  return result;
}

/** Sets up a page before it is first shown. */
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

/** Resolves when the picture can be painted. If it is missing, the page says so. */
async function picture(section) {
  const image = section.querySelector(".picture-frame img");
  if (!image) return;
  try {
    await image.decode();
  } catch {
    if (image.complete && image.naturalWidth) return; // loaded, but not decoded in advance
    section.querySelector(".picture-frame").hidden = true;
    section.querySelector(".picture-missing").hidden = false;
  }
}

function show(page, { push = true } = {}) {
  isReady = false;
  current.section.replaceWith(page.section);
  setBusy(false);
  current = page;
  document.title = page.title;
  if (push) history.pushState(null, "", page.address);
  page.section.querySelector("h1").focus({ preventScroll: true });
  scrollTo({ top: 0 });
  acceptWhenPainted();
  lookAhead();
}

/** Accepts decisions as soon as the browser has painted the page. */
function acceptWhenPainted() {
  requestAnimationFrame(() =>
    setTimeout(() => {
      isReady = true;
      shownAt = Date.now();
    }),
  );
}

function setBusy(isBusy) {
  current.section.setAttribute("aria-busy", String(isBusy));
}

// --- The next case --------------------------------------------------------------------------------

/** Claims and loads the next case while the reviewer looks at this one. */
function lookAhead() {
  if (ahead.length || !current.section.querySelector("#decide")) return;
  const loading = loadNext([current.section.dataset.case]);
  loading.catch(() => {}); // reported when the page is needed
  ahead.push(loading);
}

/** `besides`: cases to leave out. Cases in the outbox are left out too: on the server they are still open. */
function loadNext(besides) {
  const body = new URLSearchParams();
  for (const number of [...besides, ...outbox.jobs.map((job) => job.number)]) if (number) body.append("besides", number);
  return load(current.section.dataset.next, { method: "POST", body, headers: { Accept: "text/html", ...csrf() } });
}

/** Shows the next case: the one loaded in advance if it is still usable, or else another. */
async function showNext() {
  const left = current.section.dataset.case;
  isReady = false;
  setBusy(true);
  try {
    let page = await ahead.shift()?.catch(() => null);
    // The claim may have expired, there may be new cases, or the network may be back.
    if (!page?.section.dataset.case || page.claimEnds < Date.now()) page = await loadNext([left]);
    show(page);
  } catch (error) {
    setBusy(false);
    warn(`The next case could not be loaded. ${error.message}`, { action: ["Try again", showNext] });
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
  const waits = "waits" in form.dataset; // typed text may be rejected: the page stays until it is accepted
  const sent = outbox.post(form.action, new URLSearchParams(new FormData(form, button)), { number });
  latest = sent.then(
    () => true,
    () => false,
  );
  if (!isSkip) count(1);
  if (waits) {
    isReady = false;
    setBusy(true);
  } else {
    tell(`Case ${number}: ${button.dataset.said}.`);
    showNext();
  }
  try {
    const { decision, said } = await sent;
    steps.push(isSkip ? { page } : { decision });
    if (!waits) return;
    tell(said);
    showNext();
  } catch (rejected) {
    if (!isSkip) count(-1);
    tell(told.startsWith(`Case ${number}:`) ? `Case ${number}: not saved.` : told);
    if (waits) {
      setBusy(false);
      acceptWhenPainted();
      form.querySelector("input[type=text], textarea").focus();
    }
    const link = page === current ? undefined : [`Look at case ${number}`, page.address];
    page.alert = warn(`Case ${number} wasn't saved. ${rejected.message}`, { link });
  }
}

/** Undoes the decision that this page names, or else the last step, and shows its case. */
async function undo(form) {
  const page = current;
  const body = new URLSearchParams(new FormData(form));
  isReady = false;
  setBusy(true);
  try {
    const isStored = await latest;
    latest = Promise.resolve(true);
    if (!isStored) return; // there is nothing to undo; an alert says that it was not saved
    const step = body.has("decision") ? null : steps.at(-1);
    if (step?.decision) body.set("decision", step.decision);
    const answer = step?.page
      ? { address: step.page.address, said: `Back to case ${step.page.section.dataset.case}.` }
      : await outbox.post(form.action, body);
    if (step) steps.pop();
    if (!step?.page) count(-1);
    const again = await load(answer.address);
    // The case that was on the page comes next.
    if (page.section.querySelector("#decide") && page.section.dataset.case !== again.section.dataset.case) {
      ahead.unshift(Promise.resolve(page));
    }
    show(again);
    tell(answer.said);
  } catch (error) {
    warn(error instanceof Rejected ? error.message : `The case could not be loaded. ${error.message}`);
  } finally {
    if (page === current) {
      setBusy(false);
      acceptWhenPainted();
    }
  }
}

// --- Messages -------------------------------------------------------------------------------------

/** Changes the number of cases decided in this tab. */
function count(by) {
  sessionStorage.setItem(DONE, Math.max(0, Number(sessionStorage.getItem(DONE)) + by));
}

/** Shows a status, with the number of cases decided in this tab. */
function tell(text) {
  told = text;
  const done = Number(sessionStorage.getItem(DONE));
  status.textContent = done ? `${text} ${done} done in this session.` : text;
}

/** Shows an alert until the reviewer closes it. `link`: text and address; `action`: text and callback. */
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
  const what = numbers ? `Not saved: case ${numbers}.` : "Not done.";
  const link = reason.includes("logged in") ? ["Log in in another tab", current.address] : undefined;
  stuck = warn(`${what} ${reason} Nothing is lost while this page stays open.`, {
    link,
    action: ["Retry", () => outbox.retry()],
  });
  const anchor = stuck.querySelector("a");
  if (anchor) anchor.target = "_blank";
}

addEventListener("beforeunload", (event) => {
  if (!outbox.isEmpty) event.preventDefault();
});

// --- Double clicks, leaving and coming back -------------------------------------------------------

document.addEventListener(
  "click",
  (event) => {
    const isSecond = event.detail > 1 && Date.now() - shownAt < DOUBLE_CLICK;
    if (isSecond && event.target.closest("#review [type=submit]")) event.preventDefault();
  },
  { capture: true },
);

// Leaving the page releases the cases that it has claimed in advance.
addEventListener("pagehide", () => {
  for (const loading of ahead.splice(0)) loading.then(releaseClaim, () => {});
});

function releaseClaim({ section }) {
  const { case: number, release } = section.dataset;
  if (!number || number === current.section.dataset.case) return;
  const body = new URLSearchParams({ case: number });
  fetch(release, { method: "POST", body, headers: csrf(), keepalive: true }).catch(() => {}); // the claim expires anyway
}

// The browser shows the page from its back/forward cache.
addEventListener("pageshow", (event) => {
  if (event.persisted) lookAhead();
});

addEventListener("popstate", async () => {
  if (new URL(current.address).href.split("#")[0] === location.href.split("#")[0]) return; // only the fragment has changed
  setBusy(true);
  try {
    show(await load(location.href), { push: false });
  } catch (error) {
    setBusy(false);
    warn(`The case could not be loaded. ${error.message}`, { action: ["Try again", () => location.reload()] });
  }
});

listenToKeys({ page: () => current, isReady: () => isReady });
prepare(current);
picture(current.section).then(acceptWhenPainted).then(lookAhead);
