/* Deletes everything with one press. Each request deletes a limited number of pictures; this module sends the form again
 * until none is left. Leaving the page stops it. Without this module each press sends the form once.
 */

import { withToken } from "../js/csrf.js";

const main = document.getElementById("main");

main.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-deleting]");
  if (!form) return;
  event.preventDefault();
  deleteAll(form);
});

async function deleteAll(form) {
  while (form) {
    main.querySelector("[role=alert]")?.remove();
    form.querySelector("button").disabled = true;
    try {
      form = show(await send(form), form);
    } catch (error) {
      console.warn("Could not delete all pictures:", error);
      form.querySelector("button").disabled = false;
      sayInterrupted(form);
      return;
    }
  }
}

/** Sends the form. Returns the page that answers. Throws if the site cannot be reached. */
async function send(form) {
  const response = await fetch(form.action, { method: "POST", ...withToken(new URLSearchParams(new FormData(form))) });
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  history.replaceState(null, "", response.url);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

/** Shows what a page says. Returns the form that deletes the rest, or null if nothing is left or nothing was deleted. */
function show(page, form) {
  const next = page.querySelector("[data-deleting]");
  const goesOn = next && Number(next.dataset.left) < Number(form.dataset.left);
  document.title = page.title;
  const progress = main.querySelector("#progress");
  if (goesOn && progress) {
    // Only the text changes, so that the focus stays on the link that stops.
    progress.textContent = page.getElementById("progress").textContent;
    form.dataset.left = next.dataset.left;
    return form;
  }
  main.replaceChildren(...page.getElementById("main").childNodes);
  const focused = goesOn ? next.querySelector("a") : main.querySelector("h1");
  if (!goesOn) focused.tabIndex = -1;
  focused.focus();
  return goesOn ? next : null;
}

function sayInterrupted(form) {
  const notice = document.createElement("p");
  notice.className = "notice notice-warning";
  notice.setAttribute("role", "alert");
  notice.textContent =
    "The site can't be reached at the moment. The pictures that are gone stay deleted. Please press the button again.";
  form.before(notice);
}
