// A data set is asked for: counts again with every change, and finds labels by typing.

const PAUSE = 250; // milliseconds after the last key

const form = document.getElementById("export-form");
const size = document.getElementById("size");
const button = document.querySelector(".export-count");
let timer = 0;
let asking = new AbortController();

function isOutOfDate() {
  size.setAttribute("aria-busy", "true");
  for (const make of size.querySelectorAll("button")) make.disabled = true;
}

async function count() {
  asking.abort();
  asking = new AbortController();
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
  const address = `${location.pathname}?${query}`;
  try {
    const response = await fetch(address, { signal: asking.signal, headers: { Accept: "text/html" } });
    if (!response.ok || response.redirected) throw new Error(`${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    size.replaceChildren(...page.getElementById("size").childNodes);
    size.removeAttribute("aria-busy");
    history.replaceState(null, "", address);
  } catch (error) {
    if (error.name === "AbortError") return;
    button.hidden = false; // it works without us too, and says what is wrong
  }
}

form.addEventListener("input", (event) => {
  if (!event.target.name) return; // what labels are found by is not sent
  isOutOfDate();
  clearTimeout(timer);
  timer = setTimeout(count, PAUSE);
});
button.hidden = true;

const find = document.getElementById("find-label");
if (find) {
  const items = [...form.querySelectorAll(".export-labels li")].map((item) => ({
    item,
    text: item.textContent.toLowerCase(),
    box: item.querySelector("input"),
  }));
  const chosen = document.getElementById("labels-chosen");
  const none = document.getElementById("labels-none");

  const tell = () => {
    const number = items.filter(({ box }) => box.checked).length;
    chosen.textContent = number ? `${number} chosen` : "";
  };
  const filter = () => {
    const wanted = find.value.trim().toLowerCase().replaceAll("_", " ");
    let fitting = 0;
    for (const { item, text, box } of items) {
      item.hidden = !text.includes(wanted) && !box.checked; // what is chosen stays in sight
      if (!item.hidden) fitting += 1;
    }
    none.hidden = fitting > 0;
  };
  find.closest("[hidden]").hidden = false;
  find.addEventListener("input", filter);
  find.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
  form.addEventListener("input", tell);
  tell();
}
