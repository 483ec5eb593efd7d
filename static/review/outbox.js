/* Forms on their way to the server: one after the other, in the order in which they were sent, and none of them lost
 * without a word. What the server refuses is over; what does not reach it waits here until somebody tries again. Each has
 * a key of its own: if only the answer was lost, the server knows the next try by it, and does nothing twice.
 */

const PAUSES = [500, 1500, 4000]; // milliseconds before the second, third and fourth try

/** What the server does not accept: `code`, `message` and `status` are those of its refusal. */
export class Refused extends Error {
  constructor({ code, message }, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export class Outbox {
  jobs = []; // those that are not stored yet, oldest first
  isStuck = false;

  /** `onStuck(jobs, reason)`: nothing goes on before `retry`. `onMoving()`: it does again. */
  constructor({ onStuck, onMoving }) {
    this.onStuck = onStuck;
    this.onMoving = onMoving;
  }

  get isEmpty() {
    return this.jobs.length === 0;
  }

  /** Sends `body` to `address`. Returns the server's answer, sooner or later; throws `Refused`. */
  post(address, body, about = {}) {
    body.set("key", newKey()); // not the one of the form: a form can be sent again and mean something else
    return new Promise((resolve, reject) => {
      this.jobs.push({ address, body, ...about, resolve, reject });
      if (this.jobs.length === 1) this.work();
      else if (this.isStuck) this.onStuck(this.jobs, this.reason);
    });
  }

  retry() {
    if (!this.isStuck) return;
    this.isStuck = false;
    this.onMoving();
    this.work();
  }

  async work() {
    while (!this.isEmpty) {
      const job = this.jobs[0];
      try {
        const answer = await this.send(job);
        this.jobs.shift();
        job.resolve(answer);
      } catch (error) {
        if (!(error instanceof Refused)) {
          this.isStuck = true;
          this.reason = error.message;
          this.onStuck(this.jobs, this.reason);
          return;
        }
        this.jobs.shift();
        job.reject(error);
      }
    }
  }

  async send({ address, body }) {
    for (const pause of [...PAUSES, null]) {
      try {
        return await post(address, body);
      } catch (error) {
        if (pause === null || error instanceof Refused || error instanceof NotUnderstood) throw error;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }
}

/** 128 random bits in hexadecimal digits. `crypto.randomUUID` is missing where the site has no HTTPS. */
function newKey() {
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** An answer that another try would not change: a login page, or a page that says "forbidden". */
class NotUnderstood extends Error {}

async function post(address, body) {
  let response;
  try {
    response = await fetch(address, {
      method: "POST",
      body,
      headers: { Accept: "application/json", ...csrf() },
      keepalive: true, // also while the page is being left
    });
  } catch {
    throw new Error("The server cannot be reached.");
  }
  if (response.status >= 500) throw new Error(`The server answered ${response.status}.`);
  if (!response.headers.get("Content-Type")?.startsWith("application/json")) throw new NotUnderstood(why(response));
  const answer = await response.json();
  if (!response.ok) throw new Refused(answer, response.status);
  return answer;
}

/** Why a response is not what was asked for. */
export function why(response) {
  if (response.redirected && response.url.includes("/login/")) return "You are not logged in any more.";
  return `The server answered ${response.status}.`;
}

/** The header that Django wants. The cookie is read each time: a new login brings a new one. */
export function csrf() {
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";
  return { "X-CSRFToken": token };
}
