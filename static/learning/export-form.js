// The form for a new data set: updates the preview with every change, and filters labels.

const PAUSE = 250; // milliseconds between the last change and the update

const form = document.getElementById("export-form");
const size = document.getElementById("size");
const button = document.querySelector(".export-count");
let timer = 0;
let request = new AbortController();

function markOutdated() {
  size.setAttribute("aria-busy", "true");
  for (const make of size.querySelectorAll("button")) make.disabled = true;
}

async function updatePreview() {
  request.abort();
  request = new AbortController();
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
  const address = `${location.pathname}?${query}`;
  try {
    const response = await fetch(address, { signal: request.signal, headers: { Accept: "text/html" } });
    if (!response.ok || response.redirected) throw new Error(`${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    size.replaceChildren(...page.getElementById("size").childNodes);
    size.removeAttribute("aria-busy");
    history.replaceState(null, "", address);
  } catch (error) {
    if (error.name === "AbortError") return;
    button.hidden = false; // submitting the form without this script shows what is wrong
  }
}

form.addEventListener("input", (event) => {
  if (!event.target.name) return; // the label filter is not part of the selection
  markOutdated();
  clearTimeout(timer);
  if (event.target.name === "labels_of") {
    form.requestSubmit(); // another version has other labels to choose from
    return;
  }
  timer = setTimeout(updatePreview, PAUSE);
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

  const showNumber = () => {
    const number = items.filter(({ box }) => box.checked).length;
    chosen.textContent = number ? `${number} chosen` : "";
  };
  const filter = () => {
    const wanted = find.value.trim().toLowerCase().replaceAll("_", " ");
    let matching = 0;
    for (const { item, text, box } of items) {
      item.hidden = !text.includes(wanted) && !box.checked; // chosen labels stay visible
      if (!item.hidden) matching += 1;
    }
    none.hidden = matching > 0;
  };
  find.closest("[hidden]").hidden = false;
  find.addEventListener("input", filter);
  find.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
  form.addEventListener("input", showNumber);
  showNumber();
}
