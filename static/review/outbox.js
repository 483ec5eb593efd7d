/* Sends writes to the server one after the other, and loses none.
 *
 * A write stays in the browser's local storage until the server has answered it: after a reload, or in another tab, the
 * next page of the same reviewer sends it. Each write has a key, by which the server recognizes one that it has carried
 * out already. So it does no harm that two tabs may send the same write, or that a response may be lost.
 *
 * A write that does not reach the server, or for which nobody is logged in, is sent again until it succeeds. A write
 * that the server rejects is not sent again. A rejection is JSON; any other error response is no answer. But a proxy may
 * reject one write for what is in it. So a write that only gets error pages lets the others go first, and if the server
 * answers one of them and then refuses this write again, it is given up.
 */

import { withoutToken, withToken } from "../js/csrf.js";
import { pause, wake } from "./waiting.js";

const PREFIX = "review-write:"; // keys in the local storage
const TIMEOUT = 60_000; // milliseconds
const LOGIN = [401, 403]; // also the status of a form whose CSRF token the server does not accept
const BUSY = [408, 425, 429]; // the same write may succeed later
const REFUSALS = 4; // how many error pages a write gets before it lets the others go first
let count = 0;

/** The server rejected a write for good. `code` and `message` come from its response. */
export class Rejected extends Error {
  constructor({ code, message }) {
    super(message);
    this.code = code;
  }
}

/**
 * The server did not carry out a write, but may do so later. `needsLogin`: after a login. `isRefusal`: the response is
 * an error page that blames the request, perhaps for what is in it.
 */
class NotYet extends Error {
  constructor(message, { needsLogin = false, isRefusal = false } = {}) {
    super(message);
    this.needsLogin = needsLogin;
    this.isRefusal = isRefusal;
  }
}

export class Outbox {
  writes = []; // writes without an answer, oldest first; `isKept`: also in the local storage
  reason = null; // why the first of them waits

  /**
   * `onWaiting(writes, reason)`: they are not sent yet. `onAnswer({ hasWaited })`: one write has left the outbox.
   */
  constructor({ reviewer, onWaiting, onAnswer }) {
    this.reviewer = reviewer;
    this.onWaiting = onWaiting;
    this.onAnswer = onAnswer;
  }

  get isEmpty() {
    return this.writes.length === 0;
  }

  /** The numbers of the cases with writes in this tab or in another one. On the server these cases are still open. */
  get numbers() {
    const writes = [...this.writes, ...storedWrites(this.reviewer)];
    return new Set(writes.map((write) => write.number).filter(Boolean));
  }

  /**
   * Sends `fields` to `address`. Resolves to the server's response, however long it takes; throws `Rejected`.
   * `about`: what else the page wants to know about the write, such as the `number` of its case.
   */
  post(address, fields, about = {}) {
    const body = withoutToken(fields);
    const key = newKey(); // not the key of the form, which may be sent again with another meaning
    body.set("key", key);
    body.set("reviewer", this.reviewer);
    const order = [Date.now(), (count += 1)];
    const write = { key, reviewer: this.reviewer, order, address, body: body.toString(), ...about };
    return this.add({ ...write, isKept: store(write) });
  }

  /** Sends what earlier pages have left. Returns each write with its `result`, a promise as that of `post`. */
  adopt() {
    return storedWrites(this.reviewer).map((write) => ({ write, result: this.add({ ...write, isKept: true }) }));
  }

  add(write) {
    const result = new Promise((resolve, reject) => this.writes.push({ ...write, refusals: 0, resolve, reject }));
    if (this.writes.length === 1) this.work();
    else if (this.reason) {
      this.onWaiting(this.writes, this.reason);
      wake();
    }
    return result;
  }

  /** The oldest write, unless it has been refused more often than others. */
  get first() {
    const rounds = ({ refusals }) => Math.floor(refusals / REFUSALS);
    return this.writes.reduce((first, write) => (rounds(write) < rounds(first) ? write : first));
  }

  async work() {
    let attempt = 0;
    while (!this.isEmpty) {
      const write = this.first;
      let settle;
      try {
        const answer = await send(write);
        settle = () => write.resolve(answer);
      } catch (error) {
        const isGivenUp = error.isRefusal && write.isLastAttempt;
        if (!(error instanceof Rejected) && !isGivenUp) {
          this.reason = error;
          if (error.isRefusal) write.refusals += 1;
          // A single lost response is not worth a message.
          if (attempt > 0 || error.needsLogin) this.onWaiting(this.writes, error);
          await pause(attempt);
          attempt += 1;
          continue;
        }
        settle = () => write.reject(isGivenUp ? givenUp(error) : error);
      }
      this.remove(write);
      const hasWaited = Boolean(this.reason);
      this.reason = null;
      attempt = 0;
      settle();
      this.onAnswer({ hasWaited });
      wake();
    }
  }

  remove(write) {
    this.writes = this.writes.filter((other) => other !== write);
    localStorage.removeItem(PREFIX + write.key);
    // The server answers, so those that it has refused are sent once more.
    for (const other of this.writes) {
      other.isLastAttempt ||= other.refusals >= REFUSALS;
      other.refusals = 0;
    }
  }
}

function givenUp({ message }) {
  const help = "It accepts other decisions. Try again, and tell your administrator if that fails too.";
  return new Rejected({ code: "given-up", message: `${message} ${help}` });
}

async function send({ address, body }) {
  const { headers, body: fields } = withToken(new URLSearchParams(body));
  let response;
  let answer;
  try {
    response = await fetch(address, {
      method: "POST",
      body: fields,
      headers: { Accept: "application/json", ...headers },
      keepalive: true, // even while the reviewer leaves the page
      signal: AbortSignal.timeout(TIMEOUT),
    });
    if (response.headers.get("Content-Type")?.startsWith("application/json")) answer = await response.json();
  } catch {
    throw new NotYet("The server cannot be reached.");
  }
  if (answer && response.ok) return answer;
  if (answer?.code === "other-reviewer") throw new NotYet(answer.message, { needsLogin: true });
  if (answer && response.status < 500) throw new Rejected(answer);
  // Only the views of this site answer with JSON: any other response may come from a proxy, or from a wrong setting.
  const isRefusal = response.status >= 400 && response.status < 500 && !BUSY.includes(response.status);
  throw new NotYet(why(response), { needsLogin: isLogin(response), isRefusal });
}

function isLogin(response) {
  return LOGIN.includes(response.status) || (response.redirected && response.url.includes("/login/"));
}

/** Says why a response is not the expected one. */
export function why(response) {
  if (LOGIN.includes(response.status)) return "You are no longer logged in, or you may not do this.";
  return isLogin(response) ? "You are no longer logged in." : `The server answered ${response.status}.`;
}

/** Returns 128 random bits as hexadecimal digits. Without HTTPS there is no `crypto.randomUUID`. */
function newKey() {
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns whether the write could be stored. If the storage is full, the write lives only as long as the page. */
function store(write) {
  try {
    localStorage.setItem(PREFIX + write.key, JSON.stringify(write));
    return true;
  } catch {
    return false;
  }
}

/** Returns the stored writes of a reviewer, oldest first. */
function storedWrites(reviewer) {
  return Object.keys(localStorage)
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => JSON.parse(localStorage.getItem(name)))
    .filter((write) => write?.reviewer === reviewer)
    .sort((one, other) => one.order[0] - other.order[0] || one.order[1] - other.order[1]);
}
