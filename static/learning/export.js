// Shows the progress of data sets: polls while one is unfinished, and announces its outcome.

const PAUSE = 1500; // milliseconds between two polls
const MAX_PAUSE = 30_000; // after failed polls

const news = document.getElementById("export-news");

function waiting() {
  return [...document.querySelectorAll("[data-export]")];
}

function show(element, { state, done, total, text }) {
  const bar = element.querySelector("progress");
  if (state === "running" && total > 0) {
    bar.max = total;
    bar.value = done;
  } else {
    bar.removeAttribute("value");
  }
  const label = element.querySelector(".export-state");
  if (!label.classList.contains(`is-${state}`)) {
    label.className = `export-state is-${state}`;
    label.textContent = state === "running" ? "Running" : "Queued";
  }
  element.querySelector(".export-text").textContent = text;
}

/** Loads the page again and replaces the elements that may have changed. */
async function refresh() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) throw new Error(`${response.status}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const element of document.querySelectorAll("[data-live]")) {
    const renewed = page.getElementById(element.id);
    if (renewed) element.replaceWith(renewed);
    else element.removeAttribute("data-export"); // its data set was deleted
  }
}

/** Shows the current progress. Returns whether an export is still unfinished. */
async function poll() {
  const elements = waiting();
  const query = new URLSearchParams(elements.map((element) => ["id", element.dataset.export]));
  const response = await fetch(`${news.dataset.progress}?${query}`, { headers: { Accept: "application/json" } });
  if (response.redirected || response.status === 403) {
    news.textContent = "You are logged out. Reload this page to log in.";
    return false;
  }
  if (!response.ok) throw new Error(`${response.status}`);
  const { exports } = await response.json();
  const sentences = [];
  for (const element of elements) {
    const found = exports[element.dataset.export];
    if (found?.is_waiting) show(element, found);
    else if (!found) sentences.push("A data set was deleted.");
    else if (found.state === "done") sentences.push(`${found.name} is ready: ${found.text}.`);
    else sentences.push(`${found.name} has failed. ${found.text}`);
  }
  if (sentences.length > 0) {
    await refresh();
    news.textContent = sentences.join(" ");
  }
  return waiting().length > 0;
}

async function watch() {
  let pause = PAUSE;
  let isWaiting = waiting().length > 0;
  while (isWaiting) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    try {
      isWaiting = await poll();
      pause = PAUSE;
    } catch {
      // The site restarts or the network is down: try again later.
      pause = Math.min(MAX_PAUSE, pause * 2);
    }
  }
}

watch();
