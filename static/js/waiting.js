/* The result page while its prediction waits: asks for the page in the background, and shows what has changed. While the
 * site cannot be reached, the page stays and says so; a reload would replace it with an error page, which never reloads.
 */

const RETRY_SECONDS = 5;
const TIMEOUT_SECONDS = 30;

/**
 * Follows a prediction until it has settled, and then calls `onSettled` with its page.
 * `waiting`: the element with what the page says. `cancel`: the button that cancels the prediction, if it can be.
 */
export async function follow(waiting, cancel, onSettled) {
  offerCancel(cancel, waiting, onSettled);
  let seconds = Number(waiting.dataset.reloadSeconds);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    if (!waiting.isConnected) return; // another page is shown in its place
    seconds = (await update(waiting, onSettled)) ?? RETRY_SECONDS;
  }
}

/** Loads the page once. Returns the seconds until the next time, or `undefined` if it could not be loaded. */
async function update(waiting, onSettled) {
  let page;
  try {
    page = await currentPage(waiting.dataset.page);
  } catch (error) {
    console.warn("Could not load the page:", error);
    say("The site can't be reached at the moment. This page keeps trying.", waiting);
    return undefined;
  }
  if (!waiting.isConnected) return 0;
  const state = page.getElementById("waiting");
  if (!state) {
    onSettled(page);
    return 0;
  }
  say("", waiting);
  document.title = page.title;
  for (const part of waiting.querySelectorAll("[data-part]")) {
    const current = state.querySelector(`[data-part="${part.dataset.part}"]`);
    // Screen readers announce a text that is replaced, even by the same.
    if (part.innerHTML !== current.innerHTML) part.replaceChildren(...current.childNodes);
  }
  return Number(state.dataset.reloadSeconds);
}

/** Loads the page. Throws if the site cannot be reached or does not show pages at the moment. */
async function currentPage(address) {
  const response = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000) });
  if (response.status >= 500 || response.status === 429) throw new Error(`${response.status} ${response.statusText}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (!page.getElementById("main")) throw new Error("This is no page of the site."); // but of a network's login
  return page;
}

/** Shows the button that cancels the prediction. The page that says so comes with the next update. */
function offerCancel(button, waiting, onSettled) {
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const response = await fetch(button.dataset.cancel, { method: "POST" });
      if (response.status >= 500 || response.status === 429) throw new Error(`${response.status} ${response.statusText}`);
      await update(waiting, onSettled); // it may have been answered at the same moment
    } catch (error) {
      console.warn("Could not cancel:", error);
      say("It could not be cancelled. Please try again.", waiting);
    }
    button.disabled = false;
  });
}

function say(text, waiting) {
  const alert = waiting.querySelector("#unreachable");
  if (alert.textContent === text) return;
  alert.replaceChildren();
  if (!text) return;
  const notice = document.createElement("p");
  notice.className = "notice notice-warning";
  notice.textContent = text;
  alert.append(notice);
}
