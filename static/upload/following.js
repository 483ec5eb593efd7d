/* Follows accepted pictures until they are answered: one request asks for all that wait. */

const MOST_IDS = 100; // in one request
const WAIT = 5; // seconds that the site may wait for the next answer
const BETWEEN = 200; // milliseconds between two requests, while many answers come
const DELAYED = 30_000; // milliseconds without an answer
const PAUSES = [1000, 2000, 4000, 8000, 15_000]; // after the first, second... request without an answer
const TIMEOUT = 30_000;
const OUR_FAILURES = ["expired", "classification-failed", "queue-unavailable"]; // error codes: another attempt may help
const SETTLED = ["done", "failed", "expired", "cancelled"];

export class Following {
  waiting = []; // uploads, in the order in which they were accepted
  isRunning = false;
  answeredAt = 0;

  /**
   * `onAnswer(upload, changes)`: what has changed of an upload; `onDelay(isDelayed)`: whether nothing has been answered
   * for a while.
   */
  constructor(address, { onAnswer, onDelay }) {
    this.address = address;
    this.onAnswer = onAnswer;
    this.onDelay = onDelay;
  }

  /** Follows an upload that was accepted. Adding it again changes nothing. */
  add(upload) {
    if (this.waiting.includes(upload)) return;
    if (!this.waiting.length) this.answeredAt = Date.now();
    this.waiting.push(upload);
    if (!this.isRunning) this.run();
  }

  async run() {
    this.isRunning = true;
    let failures = 0;
    await pause(0); // `add` may be followed by `show`, with an answer
    while (this.waiting.length) {
      try {
        await this.ask();
        failures = 0;
        await pause(BETWEEN);
      } catch (error) {
        console.warn("Could not ask for answers:", error);
        await pause(PAUSES[Math.min(failures, PAUSES.length - 1)]);
        failures += 1;
      }
      this.onDelay(this.waiting.length > 0 && Date.now() - this.answeredAt > DELAYED);
    }
    this.isRunning = false;
    this.onDelay(false);
  }

  /** Waits for the next answer. The pictures that were accepted first are answered first. */
  async ask() {
    const all = [...this.waiting];
    const isNew = all.some(({ ahead }) => ahead === undefined); // how many are before it is shown at once
    const hasAnswer = await this.askFor(all.slice(0, MOST_IDS), isNew ? 0 : WAIT);
    for (let start = MOST_IDS; start < all.length && !hasAnswer; start += MOST_IDS) {
      await this.askFor(all.slice(start, start + MOST_IDS), 0);
    }
  }

  /** Asks for the states of some uploads. Returns whether any of them is answered. */
  async askFor(uploads, seconds) {
    const query = new URLSearchParams(uploads.map(({ prediction }) => ["id", prediction.id]));
    const response = await fetch(`${this.address}?${query}`, {
      headers: { Accept: "application/json", ...(seconds && { Prefer: `wait=${seconds}` }) },
      signal: AbortSignal.timeout(TIMEOUT),
    });
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    const { predictions, ahead } = await response.json();
    const byId = new Map(predictions.map((prediction) => [prediction.id, prediction]));
    const numberBefore = this.waiting.length;
    let queued = 0;
    for (const upload of uploads) {
      const prediction = byId.get(upload.prediction.id);
      const isQueued = prediction?.state === "queued";
      // The site tells it for the first of them; the others follow in their order.
      const position = isQueued && ahead !== null ? ahead + queued : null;
      if (isQueued) queued += 1;
      if (prediction) this.show(upload, prediction, position);
      else this.end(upload, { state: "rejected", message: "This picture was deleted." });
    }
    return this.waiting.length < numberBefore;
  }

  /** Shows the state of a picture. `ahead`: how many pictures are answered before it, if known. */
  show(upload, prediction, ahead) {
    const { state, error } = prediction;
    if (!SETTLED.includes(state)) this.onAnswer(upload, { prediction, ahead, state });
    else if (state === "done" || state === "cancelled") this.end(upload, { prediction, state, message: "" });
    else {
      const isOurs = OUR_FAILURES.includes(error.code);
      const canRetry = isOurs && Boolean(upload.file); // a page that was reloaded has no file that the site had accepted
      const message = isOurs && !canRetry ? `${error.detail} Please choose the picture again.` : error.detail;
      this.end(upload, { prediction, state: canRetry ? "failed" : "rejected", canRetry, message });
    }
  }

  end(upload, changes) {
    this.waiting = this.waiting.filter((other) => other !== upload);
    this.answeredAt = Date.now();
    this.onAnswer(upload, changes);
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(end, milliseconds);
    function end() {
      clearTimeout(timer);
      removeEventListener("online", end);
      resolve();
    }
    addEventListener("online", end);
  });
}
