/* Sends forms to the server one after the other, and loses none silently. A form that the server rejects is not sent
 * again; a form that does not reach the server waits here until the reviewer retries. Each form has a key, by which the
 * server recognizes a retry whose first response was lost, so that nothing is done twice.
 */

const PAUSES = [500, 1500, 4000]; // milliseconds before the second, third and fourth attempt

/** The server rejected a form. `code`, `message` and `status` come from its response. */
export class Rejected extends Error {
  constructor({ code, message }, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export class Outbox {
  jobs = []; // forms that are not stored yet, oldest first
  isStuck = false;

  /** `onStuck(jobs, reason)`: sending has stopped until `retry` is called. `onMoving()`: sending continues. */
  constructor({ onStuck, onMoving }) {
    this.onStuck = onStuck;
    this.onMoving = onMoving;
  }

  get isEmpty() {
    return this.jobs.length === 0;
  }

  /** Sends `body` to `address`. Resolves to the server's response, however long it takes; throws `Rejected`. */
  post(address, body, about = {}) {
    body.set("key", newKey()); // not the key of the form, which may be sent again with another meaning
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
        if (!(error instanceof Rejected)) {
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
        if (pause === null || error instanceof Rejected || error instanceof UnexpectedResponse) throw error;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }
}

/** Returns 128 random bits as hexadecimal digits. Without HTTPS there is no `crypto.randomUUID`. */
function newKey() {
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The response is not JSON, and another attempt would not change it: a login page, or "forbidden". */
class UnexpectedResponse extends Error {}

async function post(address, body) {
  let response;
  try {
    response = await fetch(address, {
      method: "POST",
      body,
      headers: { Accept: "application/json", ...csrf() },
      keepalive: true, // even while the reviewer leaves the page
    });
  } catch {
    throw new Error("The server cannot be reached.");
  }
  if (response.status >= 500) throw new Error(`The server answered ${response.status}.`);
  if (!response.headers.get("Content-Type")?.startsWith("application/json")) throw new UnexpectedResponse(why(response));
  const answer = await response.json();
  if (!response.ok) throw new Rejected(answer, response.status);
  return answer;
}

/** Says why a response is not the expected one. */
export function why(response) {
  if (response.redirected && response.url.includes("/login/")) return "You are no longer logged in.";
  return `The server answered ${response.status}.`;
}

/** Returns Django's CSRF header. Reads the cookie each time, because a new login changes it. */
export function csrf() {
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";
  return { "X-CSRFToken": token };
}
