/* The page of an error that passes by itself: asks for its address in the background, as often as the site allows, and
 * loads it once the site answers. Without this module the page reloads itself.
 */

const TIMEOUT_SECONDS = 30;
const LATER = [429, 502, 503, 504];

async function retry() {
  let seconds = Number(document.getElementById("retry").dataset.seconds);
  for (;;) {
    // The random part spreads visitors who were rejected at the same time.
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000 * (1 + Math.random() / 4)));
    try {
      const response = await fetch(location.href, { signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000) });
      if (!LATER.includes(response.status)) break;
      seconds = Number(response.headers.get("Retry-After")) || seconds;
    } catch (error) {
      console.warn("Could not load the page:", error);
    }
  }
  location.reload();
}

retry();
