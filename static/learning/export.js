// How far data sets are: asks while one of them waits, and says what has become of it.

const PAUSE = 1500; // milliseconds between two questions
const MOST = 30_000; // between two that were not answered

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

/** What the page would show by now, where it shows what has changed. */
async function renew() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) throw new Error(`${response.status}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const element of document.querySelectorAll("[data-live]")) {
    const renewed = page.getElementById(element.id);
    if (renewed) element.replaceWith(renewed);
    else element.removeAttribute("data-export"); // deleted meanwhile
  }
}

async function ask() {
  const elements = waiting();
  const query = new URLSearchParams(elements.map((element) => ["id", element.dataset.export]));
  const response = await fetch(`${news.dataset.progress}?${query}`, { headers: { Accept: "application/json" } });
  if (response.redirected || response.status === 403) {
    news.textContent = "You are not logged in any more. Load this page again.";
    return false;
  }
  if (!response.ok) throw new Error(`${response.status}`);
  const { exports } = await response.json();
  const sentences = [];
  for (const element of elements) {
    const found = exports[element.dataset.export];
    if (found?.is_waiting) show(element, found);
    else if (!found) sentences.push("A data set was deleted.");
    else if (found.state === "done") sentences.push(`${found.name} is done: ${found.text}.`);
    else sentences.push(`${found.name} has failed. ${found.text}`);
  }
  if (sentences.length > 0) {
    await renew();
    news.textContent = sentences.join(" ");
  }
  return waiting().length > 0;
}

async function watch() {
  let pause = PAUSE;
  let isGoingOn = waiting().length > 0;
  while (isGoingOn) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    try {
      isGoingOn = await ask();
      pause = PAUSE;
    } catch {
      // The site is started again, or the network is away: patience.
      pause = Math.min(MOST, pause * 2);
    }
  }
}

watch();
