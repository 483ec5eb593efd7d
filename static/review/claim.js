/* The claim of a case: shows who has it, and keeps that up to date while the page is open. */

import { withToken } from "../js/csrf.js";

const CHECK = 20_000; // milliseconds between two questions, while somebody else may claim the case
const LONGEST = 2 ** 31 - 1; // of a timer

export class Claim {
  timer = 0;
  onChange = null; // while the page is shown
  isConfirmed = false; // whether the server has said, while the page was shown, that the reviewer has the claim

  constructor(section) {
    this.address = section.dataset.claim; // none if the case needs no claim
    this.reviewer = section.dataset.reviewer;
    this.holder = section.dataset.holder;
    this.endsAt = Date.now() + 1000 * Number(section.dataset.seconds);
    this.said = section.querySelector(".claim-said");
    this.form = section.querySelector(".review-claim"); // none if this reviewer cannot decide the case
  }

  get isMine() {
    return this.holder === "me" && Date.now() < this.endsAt;
  }

  /** Claims the case that is on the page now, if the reviewer can decide it. `onChange(holder)`: somebody else has it. */
  start(onChange) {
    if (!this.address) return;
    this.onChange = onChange;
    this.ask(this.form ? "POST" : "GET");
  }

  /** The page is no longer shown. */
  stop() {
    this.onChange = null;
    clearTimeout(this.timer);
  }

  /** Asks who has the claim now. */
  check() {
    if (this.address && this.onChange) this.ask("GET");
  }

  async ask(method) {
    clearTimeout(this.timer);
    const state = await question(this.address, method, this.reviewer);
    if (!this.onChange) return;
    if (state?.holder === "me") this.isConfirmed = true;
    if (state) this.show(state);
    this.askLater(state ? "GET" : method);
  }

  /** Asks again when the claim ends, or soon if somebody else may claim the case. */
  askLater(method) {
    clearTimeout(this.timer);
    const pause = this.isMine && method === "GET" ? Math.min(this.endsAt - Date.now(), LONGEST) : CHECK;
    this.timer = setTimeout(() => {
      if (this.holder === "me" && !this.isMine) this.show({ holder: "nobody", said: "your claim has lapsed", seconds: 0 });
      if (document.hidden) this.askLater(method);
      else this.ask(method);
    }, pause);
  }

  show({ holder, said, seconds }) {
    const before = this.holder;
    this.holder = holder;
    this.endsAt = Date.now() + 1000 * seconds;
    const isTaken = this.form && holder === "other";
    this.said.textContent = isTaken ? `taken over: ${said}` : said;
    if (this.form) this.form.hidden = holder !== "nobody";
    if (before !== holder) this.onChange(holder, this.said.textContent);
  }
}

/** Returns the state of a claim, or nothing if the server gives none, as when somebody else is logged in. */
async function question(address, method, reviewer) {
  const { body, headers } = withToken(new URLSearchParams({ reviewer }));
  const options = method === "POST" ? { method, body, headers } : {};
  try {
    const response = await fetch(address, { ...options, headers: { Accept: "application/json", ...options.headers } });
    if (response.ok && response.headers.get("Content-Type")?.startsWith("application/json")) return await response.json();
  } catch {
    // The network is away; what the page shows is all that is known.
  }
}
