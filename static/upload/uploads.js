/* The queue of pictures to upload: prepares and sends a few at a time, waits while the site is busy or away, and follows
 * the accepted ones until they are answered.
 *
 * A picture is sent with its own Idempotency-Key, so that it can be sent again if no answer came: the site accepts it
 * once. The first picture is sent alone, because its answer sets the cookie by which the site recognizes the visitor.
 */

import { Following } from "./following.js";
import { Busy, Rejected, send, Unreachable } from "./sending.js";
import { isAccepted, isFailed, isUnsent, isWaiting } from "./states.js";
import { newKey } from "./store.js";

const MOST_AT_ONCE = 3;
const PAUSES = [2, 4, 8, 15]; // seconds after the first, second... attempt without an answer
const MOST_FAILURES = 4; // of one picture, while the site accepts others

export class Uploads {
  all = []; // in the order in which they were added
  alone = null; // the only picture, if its result page is shown as soon as the site has it
  pause = null; // while nothing is sent: `reason` ("busy" or "offline") and `until`, in milliseconds
  isDelayed = false; // whether nothing has been answered for a while
  inProgress = 0;
  atOnce = 1; // how many may be sent at the same time
  attempt = 0; // how many attempts in a row got no answer
  acceptedAt = 0; // when the last picture was accepted

  /**
   * `settings`: `address` to send to, `predictions`, the address to ask for answers, `maxBytes` of a picture,
   * `sendsOriginals()`, and `shrink(file)`, which otherwise returns the file to send in the place of an original.
   * `store`: see `store.js`. `onChange(upload)` is called after each change of an upload, and without one after a change
   * of the queue.
   */
  constructor(settings, store, onChange) {
    this.settings = settings;
    this.store = store;
    this.onChange = onChange;
    this.following = new Following(settings.predictions, {
      onAnswer: (upload, changes) => this.change(upload, changes),
      onDelay: (isDelayed) => {
        this.isDelayed = isDelayed;
        onChange();
      },
    });
    addEventListener("online", () => this.pause?.reason === "offline" && this.resume());
  }

  /** Adds pictures to the queue: the one way in for every source. `files`: an iterable of `File`s. */
  add(files) {
    if (this.all.length === 1 && isFailed(this.all[0])) this.clear(); // another picture takes its place
    const unsent = this.all.filter(isUnsent).map(({ original }) => original);
    const added = [...files].filter((file) => !unsent.some((other) => isSame(other, file))).map(newUpload);
    // As the visitor wanted when they chose the pictures, also if these are sent by a later page.
    for (const upload of added) upload.isPrepared = this.settings.sendsOriginals();
    this.all.push(...added);
    if (this.alone && added.length) this.showInList(this.alone);
    else if (this.all.length === 1 && added.length) [this.alone] = added;
    for (const upload of added) {
      this.onChange(upload);
      if (!upload.size) this.reject(upload, "This file is empty. Please choose another one.");
      else this.keep(upload);
    }
    this.markOffline();
    this.work();
  }

  /** Shows the answer of a picture in the list, and not on its result page. */
  showInList(upload) {
    if (upload !== this.alone) return;
    this.alone = null;
    if (isAccepted(upload)) this.follow(upload);
  }

  /** Takes up uploads that an earlier page has kept. */
  restore(uploads) {
    this.all.push(...uploads);
    for (const upload of uploads) {
      this.onChange(upload);
      if (isAccepted(upload)) this.following.add(upload);
    }
    this.work();
  }

  /** Cancels an upload at any stage before it is answered. */
  cancel(upload) {
    if (isAccepted(upload)) this.withdraw(upload);
    if (!isUnsent(upload)) return;
    upload.isCancelled = true;
    // The site may have the whole picture already: then its answer is awaited, to cancel the prediction.
    if (upload.state !== "sending" || upload.sent < upload.size) upload.request?.abort();
    this.change(upload, { state: "cancelled" });
  }

  /** Cancels all that wait. The site is asked for one after the other: it limits the requests of a client. */
  async cancelRest() {
    const accepted = this.all.filter(isAccepted);
    for (const upload of this.all.filter(isUnsent)) this.cancel(upload);
    for (const upload of accepted.reverse()) if (isAccepted(upload)) await this.withdraw(upload);
  }

  /** Cancels the prediction of an accepted picture, unless a worker has started it. */
  async withdraw(upload) {
    try {
      const response = await fetch(`${this.settings.predictions}/${upload.prediction.id}/cancel`, { method: "POST" });
      if (response.ok) this.change(upload, { state: "cancelled", message: "" });
      else if (response.status === 409) this.follow(upload); // a worker has started it, or it is answered
      else throw new Error(`${response.status} ${response.statusText}`);
    } catch (error) {
      console.warn("Could not cancel:", error);
      this.follow(upload);
      this.change(upload, { message: "It could not be cancelled. Please try again." });
    }
  }

  follow(upload) {
    upload.isCancelled = false;
    this.following.add(upload);
    this.following.show(upload, upload.prediction);
  }

  /** Sends a failed picture again. */
  retry(upload) {
    if (!upload.canRetry) return;
    if (upload.prediction) this.renew(upload); // the earlier key would give the failed prediction again
    Object.assign(upload, { canRetry: false, isCancelled: false, prediction: null, sent: 0, failures: 0, failedAt: null });
    this.change(upload, { state: "waiting", message: "" });
    this.work();
  }

  /** Gives an upload another key. */
  renew(upload) {
    this.store.forget(upload);
    upload.key = newKey();
  }

  retryFailed() {
    for (const upload of this.all) this.retry(upload);
  }

  /** Takes settled uploads off the list. */
  clear() {
    for (const upload of this.all) if (!isWaiting(upload)) this.store.forget(upload);
    this.all = this.all.filter(isWaiting);
    if (!this.all.includes(this.alone)) this.alone = null;
    this.onChange();
  }

  /** Sends as many pictures as may be sent at once. */
  work() {
    while (!this.pause && this.inProgress < this.atOnce) {
      const upload = this.next();
      if (!upload) return;
      this.inProgress += 1;
      this.process(upload).finally(() => {
        this.inProgress -= 1;
        this.work();
      });
    }
  }

  /** The first picture to send; those whose attempts failed let the others go first. */
  next() {
    const waiting = this.all.filter(({ state }) => state === "waiting");
    return waiting.reduce((first, upload) => (upload.failures < first.failures ? upload : first), waiting[0]);
  }

  async process(upload) {
    upload.request = new AbortController();
    try {
      await this.prepare(upload);
      if (upload.isCancelled) return;
      this.change(upload, { state: "sending", sent: 0 });
      this.accept(upload, await this.send(upload));
    } catch (error) {
      if (!upload.isCancelled) this.fail(upload, error);
    }
  }

  async prepare(upload) {
    this.change(upload, { state: "preparing" });
    if (!upload.isPrepared) {
      const file = await this.settings.shrink(upload.file);
      const isChanged = file !== upload.file;
      Object.assign(upload, { file, size: file.size, isPrepared: true });
      if (isChanged && !upload.isCancelled) await this.keep(upload); // the key belongs to the bytes that are sent
    }
    if (upload.size > this.settings.maxBytes) {
      const sizes = `It has ${megabytes(upload.size)}, and at most ${megabytes(this.settings.maxBytes)} are accepted.`;
      throw new Rejected(`This picture is too large. ${sizes} Please choose a smaller one.`);
    }
  }

  send(upload) {
    return send(this.settings.address, upload, {
      signal: upload.request.signal,
      onProgress: (bytes) => this.change(upload, { sent: Math.min(bytes, upload.size) }),
    });
  }

  accept(upload, prediction) {
    this.attempt = 0;
    this.acceptedAt = Date.now();
    this.atOnce = Math.min(this.atOnce + 1, MOST_AT_ONCE);
    upload.prediction = prediction;
    upload.sent = upload.size;
    if (upload.isCancelled) this.withdraw(upload);
    else if (upload === this.alone) this.change(upload, { state: prediction.state });
    else this.follow(upload);
  }

  fail(upload, error) {
    if (error instanceof Rejected && error.code === "idempotency-key-reused") {
      this.renew(upload);
      this.keep(upload);
      this.change(upload, { state: "waiting" });
    } else if (error instanceof Rejected) {
      this.reject(upload, error.message, { canRetry: error.canRetry });
    } else if (error instanceof Busy) {
      this.change(upload, { state: "waiting", sent: 0 });
      this.wait("busy", error.seconds);
    } else if (error instanceof Unreachable) {
      this.postpone(upload);
    } else {
      console.error(error);
      this.reject(upload, "Something went wrong in the browser. Please try again.", { canRetry: true });
    }
  }

  reject(upload, message, { canRetry = false } = {}) {
    this.change(upload, { state: canRetry ? "failed" : "rejected", message, canRetry });
  }

  /** Sends a picture later, or gives it up if the site accepts others but has not answered this one several times. */
  postpone(upload) {
    upload.failures += 1;
    upload.failedAt ??= Date.now();
    if (upload.failures >= MOST_FAILURES && upload.failedAt < this.acceptedAt) {
      this.reject(upload, "This picture could not be sent, although others could. Please try again.", { canRetry: true });
      return;
    }
    this.change(upload, { state: "waiting", sent: 0 });
    this.wait("offline", PAUSES[Math.min(this.attempt, PAUSES.length - 1)]);
  }

  /** Sends nothing for some seconds. A longer pause that has begun already stays. */
  wait(reason, seconds) {
    this.atOnce = 1;
    const until = Date.now() + 1000 * seconds;
    if (this.pause && (this.pause.reason === "offline" || this.pause.until >= until)) return;
    if (this.pause) clearTimeout(this.pause.timer);
    if (reason === "offline") this.attempt += 1;
    this.pause = { reason, until, timer: setTimeout(() => this.resume(), 1000 * seconds) };
    this.markOffline();
    this.onChange();
  }

  resume() {
    if (!this.pause) return;
    clearTimeout(this.pause.timer);
    this.pause = null;
    for (const upload of this.all) if (upload.state === "offline") this.change(upload, { state: "waiting" });
    this.onChange();
    this.work();
  }

  markOffline() {
    if (this.pause?.reason !== "offline") return;
    for (const upload of this.all) if (upload.state === "waiting") this.change(upload, { state: "offline" });
  }

  change(upload, changes) {
    const { state } = upload;
    Object.assign(upload, changes);
    if (upload.state !== state) this.keepState(upload, state);
    this.onChange(upload);
  }

  /** Keeps the new state of an upload. One that is still to be sent is kept already, unless it had failed. */
  keepState(upload, state) {
    const hasPage = upload === this.alone && upload.prediction;
    if (upload.state === "cancelled" || hasPage) this.store.forget(upload);
    else if (!isUnsent(upload) || !isUnsent({ state })) this.keep(upload);
  }

  async keep(upload) {
    await this.store.keep(upload);
    this.onChange(upload);
  }
}

function newUpload(file, index) {
  const { name, size, type } = file;
  const about = { key: newKey(), name, size, type, original: file, file, addedAt: 1000 * Date.now() + index };
  return { ...about, sent: 0, state: "waiting", message: "", prediction: null, failures: 0, failedAt: null };
}

function isSame(one, other) {
  return ["name", "size", "type", "lastModified", "webkitRelativePath"].every((name) => one?.[name] === other[name]);
}

function megabytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1).replace(/\.0$/, "")} MB`;
}
