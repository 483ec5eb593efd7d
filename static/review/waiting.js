/* Pauses between attempts. They end early when the next attempt is likely to succeed. */

const PAUSES = [500, 1500, 4000, 8000, 15_000]; // milliseconds after the first, second... failed attempt
const wakes = new EventTarget();

/** Resolves after the pause that follows the failed attempt number `attempt`, counted from 0, or when `wake` is called. */
export function pause(attempt) {
  return new Promise((resolve) => {
    const timer = setTimeout(end, PAUSES[Math.min(attempt, PAUSES.length - 1)]);
    function end() {
      clearTimeout(timer);
      wakes.removeEventListener("wake", end);
      resolve();
    }
    wakes.addEventListener("wake", end);
  });
}

/** Ends all pauses. */
export function wake() {
  wakes.dispatchEvent(new Event("wake"));
}

// The network is back; the reviewer comes back, perhaps from logging in; another tab has sent something.
for (const name of ["online", "focus", "pageshow", "storage"]) addEventListener(name, wake);
document.addEventListener("visibilitychange", () => document.hidden || wake());
