/* Sends one picture, with progress in bytes. `fetch` does not tell how much of a body has been sent. */

const STALL = 60_000; // milliseconds without a byte sent or an answer, after which the connection is given up
const DEFAULT_RETRY_SECONDS = 5;
const OUTAGES = [408, 425, 502, 504]; // of a proxy: the same request may succeed later

/** The site accepts no further picture at the moment. `seconds`: when it may accept the next one. */
export class Busy extends Error {
  constructor(seconds) {
    super(`The site is busy for ${seconds} s.`);
    this.seconds = seconds;
  }
}

/** No answer came: the network or the site is away. */
export class Unreachable extends Error {}

/** The site does not accept this picture. The message says why; `code` is that of the problem details. */
export class Rejected extends Error {
  constructor(message, { code = "", canRetry = false } = {}) {
    super(message);
    this.code = code;
    this.canRetry = canRetry;
  }
}

/**
 * Sends a picture and returns its prediction, as the API represents it. Throws `Busy`, `Unreachable`, `Rejected`, or
 * an `AbortError` after `signal` was aborted. `onProgress(bytes)` is called while it is sent.
 */
export async function send(address, { file, name, key }, { signal, onProgress }) {
  const body = new FormData();
  body.append("file", file, name);
  const { status, text, retryAfter } = await post(address, body, { key, signal, onProgress }).catch(async (error) => {
    if (error instanceof Unreachable) await requireReadable(file);
    throw error;
  });
  const answer = parsed(text);
  if (status === 201 && answer?.id) return answer;
  if (status === 429 || status === 503) throw new Busy(retryAfter || DEFAULT_RETRY_SECONDS);
  const isForeign = status < 400 && !answer?.id; // such as the page on which a network asks its users to log in
  if (isForeign || (OUTAGES.includes(status) && !answer?.code)) throw new Unreachable(`The site answered ${status}.`);
  throw new Rejected(explanation(status, answer), { code: answer?.code, canRetry: status >= 500 });
}

function post(address, body, { key, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let stall = 0;
    const watch = () => {
      clearTimeout(stall);
      stall = setTimeout(() => request.abort(), STALL);
    };
    request.open("POST", address);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Idempotency-Key", key);
    request.upload.addEventListener("progress", ({ loaded }) => {
      watch();
      onProgress(loaded);
    });
    request.addEventListener("load", () => {
      const { status, responseText } = request;
      resolve({ status, text: responseText, retryAfter: Number(request.getResponseHeader("Retry-After")) });
    });
    request.addEventListener("error", () => reject(new Unreachable("The site cannot be reached.")));
    request.addEventListener("abort", () =>
      reject(signal.aborted ? signal.reason : new Unreachable("The connection has stalled.")),
    );
    request.addEventListener("loadend", () => clearTimeout(stall));
    signal.addEventListener("abort", () => request.abort());
    watch();
    request.send(body);
  });
}

/** Throws `Rejected` if the browser can no longer read a file: it fails as a network that is away does. */
async function requireReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Rejected("This file can't be read any more: it was changed, moved or deleted. Please choose it again.");
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // the page of a proxy
  }
}

/** Says what is wrong with a picture, and what to do. */
function explanation(status, answer) {
  const detail = answer?.detail;
  if (detail) return status >= 500 || detail.includes("Please") ? detail : `${detail} Please choose another picture.`;
  if (status === 413) return "This picture is too large for the site. Please send a smaller one.";
  return `The site answered with an error (${status}).`;
}
