/* Sends what a visitor says about an answer. */

const TIMEOUT = 20_000; // milliseconds

/** The statement was not stored; the message says why and what to do. */
export class Refused extends Error {}

/** Stores a statement: the id of the `prediction`, the `verdict`, and what the picture shows. Throws `Refused`. */
export async function send(address, statement) {
  const response = await answer(address, statement);
  if (response.ok) return;
  const problem = await response.json().catch(() => ({}));
  const reason = problem.detail ?? `The site answered with an error (${response.status}).`;
  throw new Refused(`Not saved. ${reason}`);
}

async function answer(address, statement) {
  try {
    return await fetch(address, {
      method: "POST",
      headers: { Accept: "application/json", "Content-Type": "application/json" },
      body: JSON.stringify(statement),
      signal: AbortSignal.timeout(TIMEOUT),
    });
  } catch {
    throw new Refused("Not saved: the site can't be reached. Please try again.");
  }
}
