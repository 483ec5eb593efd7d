/* The page of a prediction that waits: asks for its state in the background. While the site cannot be reached, the page
 * stays and says so; a reload would replace it with an error page, which never reloads. Without this module the page
 * reloads itself.
 */

const RETRY_SECONDS = 5;
const TIMEOUT_SECONDS = 30;
const waiting = document.getElementById("waiting");

async function follow() {
  let seconds = Number(waiting.dataset.reloadSeconds);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    try {
      const page = await currentPage();
      const state = page.getElementById("waiting");
      if (!state) {
        location.reload(); // the prediction waits no longer
        return;
      }
      document.title = page.title;
      waiting.replaceChildren(...state.childNodes);
      seconds = Number(state.dataset.reloadSeconds);
    } catch (error) {
      console.warn("Could not load the page:", error);
      sayUnreachable();
      seconds = RETRY_SECONDS;
    }
  }
}

/** Loads the page again. Throws if the site cannot be reached or does not show pages at the moment. */
async function currentPage() {
  const response = await fetch(location.href, { signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000) });
  if (response.status >= 500 || response.status === 429) throw new Error(`${response.status} ${response.statusText}`);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

function sayUnreachable() {
  if (waiting.querySelector("[role=alert]")) return;
  const notice = document.createElement("p");
  notice.className = "notice notice-warning";
  notice.setAttribute("role", "alert");
  notice.textContent = "The site can't be reached at the moment. This page keeps trying.";
  waiting.append(notice);
}

follow();
