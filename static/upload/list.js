/* The list of uploads on the page: a summary, what keeps the queue from sending, and a card for each picture. */

import { Card } from "./card.js";
import { isFailed, isUnsent, isWaiting } from "./states.js";

const BUSY = "We're busy. Trying again";
const ANNOUNCE = 10_000; // milliseconds between two announcements of the progress to screen readers

export class UploadList {
  cards = new Map(); // by upload
  changed = new Set(); // uploads whose cards are not up to date
  isScheduled = false;
  isAlone = false;
  announced = { text: "", at: 0 };
  usesKeys = false; // whether the last press was of a key

  constructor(section, uploads) {
    this.uploads = uploads;
    this.section = section;
    this.list = section.querySelector(".cards");
    this.notice = section.querySelector(".uploads-notice");
    this.summary = section.querySelector(".uploads-summary");
    this.progress = section.querySelector(".uploads-progress");
    this.status = section.querySelector("[role=status]");
    section.addEventListener("click", (event) => this.act(event));
    this.list.addEventListener("keydown", (event) => this.press(event));
    section.addEventListener("pointerdown", () => (this.usesKeys = false));
    section.addEventListener("keydown", () => (this.usesKeys = true), { capture: true });
    for (const name of ["online", "offline"]) addEventListener(name, () => this.show());
  }

  act({ target }) {
    const button = target.closest("[data-action]");
    const upload = this.cardOf(target)?.upload;
    const actions = {
      cancel: () => this.uploads.cancel(upload),
      retry: () => this.uploads.retry(upload),
      "cancel-rest": () => this.uploads.cancelRest(),
      "retry-failed": () => this.uploads.retryFailed(),
      clear: () => this.uploads.clear(),
      download: () => import("./csv.js").then(({ download }) => download(this.uploads.all)),
    };
    if (button) actions[button.dataset.action]?.();
    if (button?.closest(".uploads-actions")) this.pressed = button;
  }

  /** Moves the focus from a button of the list that has disappeared. Those of cards do so by themselves. */
  keepFocus() {
    const { pressed } = this;
    if (!pressed || pressed.checkVisibility()) return;
    this.pressed = null;
    if (![pressed, document.body].includes(document.activeElement)) return;
    (this.section.hidden ? document.getElementById("file") : this.section.querySelector("h2")).focus({ preventScroll: true });
  }

  cardOf(target) {
    const element = target.closest(".card-of-picture");
    return [...this.cards.values()].find((card) => card.element === element);
  }

  /** Handles the keys of the card that has the focus. */
  press(event) {
    const { target, key, ctrlKey, metaKey, altKey, repeat } = event;
    if (ctrlKey || metaKey || altKey || target.matches("input, textarea")) return;
    const card = this.cardOf(target);
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    const other = step && this.answered(card, step);
    if (other) other.element.focus();
    // A key that is held down would also answer the pictures that follow.
    if (other || (!step && !repeat && card?.answer?.press(key))) event.preventDefault();
  }

  /** The next card with an answer, in one of the two directions. */
  answered(card, step, condition = () => true) {
    const cards = [...this.cards.values()];
    for (let index = cards.indexOf(card) + step; cards[index]; index += step) {
      if (cards[index].answer && condition(cards[index])) return cards[index];
    }
  }

  /**
   * Keeps what the visitor has said, and goes on to the next picture if they use the keyboard. The focus stays if they
   * have moved it to another picture meanwhile.
   */
  goOn(upload) {
    this.uploads.store.keep(upload);
    const card = this.cards.get(upload);
    const { activeElement } = document;
    if (!card || (activeElement !== document.body && !card.element.contains(activeElement))) return;
    const next = this.usesKeys && this.answered(card, 1, (other) => !other.upload.statement);
    (next || card).element.focus({ preventScroll: !next }); // the pressed button is hidden now
  }

  /** Shows an upload as it is now, with the next frame. */
  show(upload) {
    if (upload) this.changed.add(upload);
    if (this.isScheduled) return;
    this.isScheduled = true;
    requestAnimationFrame(() => {
      this.isScheduled = false;
      this.render();
    });
  }

  render() {
    const { all, alone } = this.uploads;
    const isAlone = Boolean(alone) && !isFailed(alone);
    this.section.hidden = !all.length;
    this.section.classList.toggle("is-alone", isAlone);
    this.removeCards();
    if (this.isAlone !== isAlone) this.changed = new Set(all); // the previews have another size
    this.isAlone = isAlone;
    const shown = this.cards.size;
    for (const upload of this.changed) if (all.includes(upload)) this.renderCard(upload, isAlone);
    if (shown && this.cards.size > shown) this.card(shown).element.scrollIntoView({ block: "nearest" });
    this.changed.clear();
    this.renderSummary();
    this.renderNotice();
    this.keepFocus();
  }

  renderCard(upload, isAlone) {
    let card = this.cards.get(upload);
    if (!card) {
      card = new Card(upload, () => this.goOn(upload));
      this.cards.set(upload, card);
      this.list.append(card.element);
    }
    card.render({ isLarge: isAlone });
  }

  card(index) {
    return [...this.cards.values()][index];
  }

  removeCards() {
    const all = new Set(this.uploads.all);
    for (const [upload, { element }] of this.cards) {
      if (all.has(upload)) continue;
      element.remove();
      this.cards.delete(upload);
    }
  }

  renderSummary() {
    const { all } = this.uploads;
    const number = (condition) => all.filter(condition).length;
    const waiting = number(isWaiting);
    const failed = number(isFailed);
    const cancelled = number(({ state }) => state === "cancelled");
    const parts = [`${number(({ state }) => state === "done")} of ${all.length} answered`];
    if (failed) parts.push(`${failed} failed`);
    if (cancelled) parts.push(`${cancelled} cancelled`);
    const text = parts.join(", ");
    this.summary.textContent = all.length > 1 ? text : "";
    this.progress.value = all.length ? (all.length - waiting) / all.length : 0;
    this.progress.hidden = !waiting;
    this.button("cancel-rest").hidden = !waiting;
    this.button("retry-failed").hidden = !all.some(({ canRetry }) => canRetry);
    const isAnswered = all.some(({ state }) => state === "done");
    this.button("download").hidden = !isAnswered;
    this.section.querySelector(".uploads-keys").hidden = !isAnswered || this.isAlone;
    this.button("clear").hidden = waiting === all.length;
    this.announce(all.length > 1 ? text : single(all[0]), { isLast: all.length < 2 || !waiting });
  }

  button(action) {
    return this.section.querySelector(`.uploads-actions [data-action="${action}"]`);
  }

  /** Tells screen readers the progress now and then, and the end at once. */
  announce(text, { isLast }) {
    if (text === this.announced.text) return;
    clearTimeout(this.announcing);
    const left = isLast ? 0 : this.announced.at + ANNOUNCE - Date.now();
    this.announcing = setTimeout(() => {
      this.announced = { text, at: Date.now() };
      this.status.textContent = text;
    }, left);
  }

  renderNotice() {
    const { pause, isDelayed, all } = this.uploads;
    const unsent = all.filter(isUnsent);
    clearTimeout(this.ticking);
    if (pause && unsent.length && pause.reason === "busy") this.tick();
    else if (pause && unsent.length) this.say(offline(unsent));
    else if (isDelayed) this.say("Answers are delayed. Your pictures are saved, and answered later.");
    else if (unsent.some(({ isRestored }) => isRestored)) this.say("These pictures were kept in this browser and are sent now.", "");
    else this.say("");
  }

  /** Counts down to the end of a pause. */
  tick() {
    if (this.said !== BUSY) {
      this.say(BUSY);
      const number = document.createElement("span");
      number.setAttribute("aria-hidden", "true"); // screen readers would read the notice again each second
      this.notice.firstChild.append(number, "…");
    }
    const left = Math.max(1, Math.ceil((this.uploads.pause.until - Date.now()) / 1000));
    this.notice.querySelector("span").textContent = ` in ${left} s`;
    this.ticking = setTimeout(() => this.renderNotice(), 1000);
  }

  say(text, kind = "notice-warning") {
    if (text === this.said) return;
    this.said = text;
    this.notice.replaceChildren();
    if (!text) return;
    const notice = document.createElement("p");
    notice.className = `notice ${kind}`;
    notice.textContent = text;
    this.notice.append(notice);
  }
}

/** What screen readers should know of a picture that is the only one. */
function single(upload) {
  if (!upload) return "";
  return isWaiting(upload) ? `Sending ${upload.name}` : [upload.name, upload.message].filter(Boolean).join(": ");
}

function offline(unsent) {
  const reason = navigator.onLine ? "The site can't be reached at the moment." : "You're offline.";
  const [pictures, are] = unsent.length === 1 ? ["picture", "is"] : [`${unsent.length} pictures`, "are"];
  const sent = "sent when the connection is back.";
  return unsent.every(({ isKept }) => isKept)
    ? `${reason} Your ${pictures} ${are} kept in this browser, and ${sent}`
    : `${reason} Please keep this page open. Your ${pictures} ${are} ${sent}`;
}
