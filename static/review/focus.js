/* The focus view: shows one case after the other without waiting. The page works without this module, only slower.
 *
 * Every button belongs to a form. This module sends the form in the background and shows the next case, which it has
 * claimed and loaded in advance. pages.js loads pages, ahead.js those of the next cases, outbox.js sends the forms,
 * claim.js watches the claim, keys.js handles the keys, zoom.js enlarges the picture.
 */

import { withToken } from "../js/csrf.js";
import { Ahead } from "./ahead.js";
import { WaitingAlert, warn } from "./alerts.js";
import { listenToKeys } from "./keys.js";
import { Outbox, Rejected } from "./outbox.js";
import { load, picture, prepare } from "./pages.js";
import { pause, wake } from "./waiting.js";

const DOUBLE_CLICK = 300; // milliseconds
const PATIENCE = 3000; // milliseconds that a page waits to hear whether its typed text is accepted
const DONE = "review-done"; // key in the tab's session storage: how many cases were decided in this tab

const status = document.querySelector(".review-status");
const reviewer = document.getElementById("review").dataset.reviewer;

const outbox = new Outbox({ reviewer, onWaiting: tellWaiting, onAnswer });
const ahead = new Ahead(loadNext);
const unsent = new WaitingAlert();
let steps = []; // what was done on this page, newest last: a stored `decision`, or the `page` that was skipped
let latest = Promise.resolve(true); // whether the form that was sent last has been stored
let current = { section: document.getElementById("review"), title: document.title, address: location.href };
let isReady = false; // whether the case has been painted; nobody can decide a case that they have not seen
let shownAt = 0;
let told = ""; // the latest status, without the number of decided cases
let left = NaN; // how many cases are left within the filters

// --- Showing a case -------------------------------------------------------------------------------

function show(page, { push = true } = {}) {
  isReady = false;
  current.claim.stop();
  ahead.forget(page.number);
  current.section.replaceWith(page.section);
  setBusy(false);
  current = page;
  document.title = page.title;
  if (push) history.pushState(null, "", page.address);
  page.section.querySelector("h1").focus({ preventScroll: true });
  scrollTo({ top: 0 });
  acceptWhenPainted();
  begin(page);
}

/** Starts what goes on while a page is shown. */
function begin(page) {
  if (Number.isNaN(left)) setLeft(Number(page.section.dataset.left));
  showLeft();
  page.claim.start((holder, said) => onClaim(page, holder, said));
  lookAhead();
}

function lookAhead() {
  if (current.section.querySelector("#decide")) ahead.fill(current.number);
}

/** The claim of the page has changed. */
function onClaim(page, holder, said) {
  if (holder === "me") return;
  const isFreeAgain = holder === "nobody" && !page.claim.form; // now the page has buttons
  if (page.isFromAhead && !page.claim.isConfirmed && holder !== "nobody") {
    tell(`Case ${page.number}: ${said}. This is the next one.`);
    showNext();
  } else if (isFreeAgain) {
    load(page.address).then((again) => page === current && show(again, { push: false }), () => {});
  } else {
    tell(`Case ${page.number}: ${said}.`);
  }
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

/** Shows the page of another case. This case comes next if it can still be decided. */
function showInstead(page, options) {
  const isWanted = current.section.querySelector("#decide") && !current.isLeft;
  if (isWanted && current.number !== page.number) ahead.putBack(current);
  show(page, options);
}

function setBusy(isBusy) {
  current.section.setAttribute("aria-busy", String(isBusy));
}

// --- The next case --------------------------------------------------------------------------------

/** Claims and loads a case. Cases in the outbox are left out: on the server they are still open. */
function loadNext({ besides, inAdvance = false }) {
  const fields = new URLSearchParams({ reviewer, ...(inAdvance && { in_advance: "1" }) });
  for (const number of [...besides, ...outbox.numbers]) if (number) fields.append("besides", number);
  return load(current.section.dataset.next, { method: "POST", ...withToken(fields) });
}

/** Shows the next case: one that was loaded in advance, or else another. Tries until it succeeds. */
async function showNext() {
  const page = current;
  const waiting = new WaitingAlert();
  page.claim.stop(); // a decision ends the claim
  page.isLeft = true; // for good
  isReady = false;
  setBusy(true);
  for (let attempt = 0; page === current; attempt += 1) {
    try {
      const next = await nextPage(page.number);
      if (page === current) show(next);
    } catch (error) {
      const text = `The next case could not be loaded. ${error.message} The page tries again by itself.`;
      waiting.show(text, { action: ["Try again", wake] });
      await pause(attempt);
    }
  }
  waiting.hide();
}

/** `number`: the case to leave out. */
async function nextPage(number) {
  const lapsed = [];
  for (let page = await ahead.take(); page; page = await ahead.take()) {
    page.isFromAhead = true;
    if (outbox.numbers.has(page.number)) continue; // decided in another tab
    if (page.claim.isMine) return page;
    lapsed.push(page);
  }
  try {
    return await loadNext({ besides: [number] });
  } catch (error) {
    // Without a network, a lapsed claim is better than nothing. Somebody else may have decided the case by now.
    ahead.putBack(...lapsed.slice(1));
    if (lapsed.length) return lapsed[0];
    throw error;
  }
}

// --- Deciding -------------------------------------------------------------------------------------

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!current.section.contains(form) || "leaves" in form.dataset) return;
  event.preventDefault();
  if (form.matches(".review-claim")) current.claim.ask("POST");
  else if (!isReady) return;
  else if (form.matches(".review-next")) follow(form);
  else if (form.matches(".review-undo")) undo(form);
  else decide(form, event.submitter);
});

async function decide(form, button) {
  const page = current;
  const { number } = page;
  const isSkip = "uncounted" in (button?.dataset ?? {});
  page.alert?.remove();
  const fields = new URLSearchParams(new FormData(form, button));
  const sent = outbox.post(form.action, fields, { number, page: page.address, isCounted: !isSkip });
  latest = isStored(sent);
  if (!isSkip) count(1);
  let hasGoneOn = false;
  const goOn = (said) => {
    if (hasGoneOn || page !== current) return;
    hasGoneOn = true;
    tell(said);
    showNext();
  };
  let timer;
  if ("waits" in form.dataset) {
    // Typed text may be rejected: the page stays until it is accepted, unless the network is away.
    isReady = false;
    setBusy(true);
    timer = setTimeout(goOn, PATIENCE, `Case ${number}: not saved yet.`);
  } else {
    goOn(`Case ${number}: ${button.dataset.said}.`);
  }
  try {
    const answer = await sent;
    ahead.forget(number); // the reviewer may have left the page by Back before the answer
    // Only these two of the page: its picture would stay in memory.
    steps.push(isSkip ? { page: { number, address: page.address } } : { decision: answer.decision });
    setLeft(answer.left);
    goOn(answer.said);
  } catch (rejected) {
    if (!isSkip) count(-1);
    tell(told.startsWith(`Case ${number}:`) ? `Case ${number}: not saved.` : told);
    if (!hasGoneOn && page === current) {
      setBusy(false);
      acceptWhenPainted();
      form.querySelector("input[type=text], textarea").focus();
    }
    const isStillShown = page === current && !hasGoneOn;
    page.alert = tellRejected(rejected, number, isStillShown ? {} : { address: page.address, quote: typed(fields) });
  } finally {
    clearTimeout(timer);
  }
}

/** Returns the note or the label that the reviewer typed into a form. A label button sends no verdict. */
function typed(fields) {
  return fields.get("note") || (fields.has("verdict") && fields.get("label")) || "";
}

function isStored(sent) {
  return sent.then(
    () => true,
    () => false,
  );
}

/** Undoes the decision that this page names, or else the last step, and shows its case. */
async function undo(form) {
  const page = current;
  const body = new URLSearchParams(new FormData(form));
  const named = body.get("decision");
  let step;
  isReady = false;
  setBusy(true);
  if (!outbox.isEmpty) tell("The undo waits until the decision before it is saved.");
  try {
    const wasStored = await latest;
    latest = Promise.resolve(true);
    if (!wasStored) return; // there is nothing to undo; an alert says that it was not saved
    step = named ? steps.find(({ decision }) => String(decision) === named) : steps.at(-1);
    if (step?.decision) body.set("decision", step.decision);
    const answer = step?.page
      ? { address: step.page.address, said: `Back to case ${step.page.number}.` }
      : await outbox.post(form.action, body, { page: page.address });
    forget(step);
    if (!step?.page) count(-1);
    if (answer.left !== undefined) setLeft(answer.left);
    const again = await load(answer.address);
    showInstead(again);
    tell(answer.said);
  } catch (error) {
    if (error instanceof Rejected) forget(step); // otherwise it would block the undo of those before it
    warn(error instanceof Rejected ? error.message : `The case could not be loaded. ${error.message}`);
  } finally {
    if (page === current) {
      setBusy(false);
      acceptWhenPainted();
    }
  }
}

function forget(step) {
  steps = steps.filter((other) => other !== step);
}

/** Shows the next case, perhaps within other filters than those of this page. */
function follow(form) {
  const address = form.getAttribute("action");
  if (address !== current.section.dataset.next) left = NaN;
  current.section.dataset.next = address;
  showNext();
}

/** Sends what earlier pages have left. */
function adopt() {
  for (const { write, result } of outbox.adopt()) {
    latest = isStored(result);
    result.then(
      (answer) => {
        if (write.isCounted) steps.push({ decision: answer.decision });
        tell(answer.said);
        setLeft(answer.left);
      },
      (rejected) =>
        tellRejected(rejected, write.number, { address: write.page, quote: typed(new URLSearchParams(write.body)) }),
    );
  }
}

// --- Messages -------------------------------------------------------------------------------------

/** Changes the number of cases decided in this tab. */
function count(by) {
  sessionStorage.setItem(DONE, Math.max(0, Number(sessionStorage.getItem(DONE)) + by));
  left -= by;
  showLeft();
}

/** Sets how many cases are left on the server; those in the outbox are still counted there. */
function setLeft(number) {
  left = number - outbox.writes.filter((write) => write.isCounted).length;
  showLeft();
}

function showLeft() {
  const element = current.section.querySelector(".review-left");
  if (!element) return;
  const most = Number(current.section.dataset.leftMax);
  if (Number.isNaN(left)) return;
  element.textContent = left > most ? `more than ${most} left` : `${Math.max(0, left)} left`;
}

/** Shows a status, with the number of cases decided in this tab. */
function tell(text) {
  told = text;
  const done = Number(sessionStorage.getItem(DONE));
  status.textContent = done ? `${text} ${done} done in this session.` : text;
}

function tellRejected(rejected, number, { address, quote }) {
  const what = number ? `Case ${number} wasn't saved.` : "This wasn't done.";
  return warn(`${what} ${rejected.message}`, { quote, link: number && address && [`Look at case ${number}`, address] });
}

function tellWaiting(writes, reason) {
  const numbers = writes.map((write) => write.number).filter(Boolean).join(", ");
  const what = numbers ? `Not saved: case ${numbers}.` : "Not done.";
  const when = reason.needsLogin ? "when you have logged in again" : "as soon as possible";
  const isKept = writes.every((write) => write.isKept);
  const promise = isKept ? "Nothing is lost." : "Keep this page open until then.";
  unsent.show(`${what} ${reason.message} This page sends it by itself ${when}. ${promise}`, {
    link: reason.needsLogin && ["Log in in another tab", current.address],
    action: ["Retry", wake],
  });
}

function onAnswer({ hasWaited }) {
  if (outbox.isEmpty) unsent.hide();
  if (hasWaited) lookAhead(); // the network is back
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

addEventListener("pagehide", () => ahead.release(current.section.dataset.release));

// The browser shows the page from its back/forward cache.
addEventListener("pageshow", (event) => {
  if (event.persisted) begin(current);
});

document.addEventListener("visibilitychange", () => document.hidden || current.claim.check());

addEventListener("popstate", async () => {
  if (new URL(current.address).href.split("#")[0] === location.href.split("#")[0]) return; // only the fragment has changed
  setBusy(true);
  try {
    showInstead(await load(location.href), { push: false });
  } catch (error) {
    setBusy(false);
    warn(`The case could not be loaded. ${error.message}`, { action: ["Try again", () => location.reload()] });
  }
});

prepare(current);
listenToKeys({ page: () => current, isReady: () => isReady });
adopt();
setLeft(Number(current.section.dataset.left));
if (outbox.numbers.has(current.number)) showNext(); // decided before the page was loaded again
else {
  picture(current)
    .then(acceptWhenPainted)
    .then(() => begin(current));
}
