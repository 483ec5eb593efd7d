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
    form.querySelector("button").disabled = true;
    try {
      form = await send(form);
    } catch (error) {
      console.warn("Could not delete all pictures:", error);
      form.querySelector("button").disabled = false;
      sayInterrupted(form);
      return;
    }
  }
}

/** Sends the form and shows the page that answers. Returns that page's form if pictures are left and some were deleted. */
async function send(form) {
  const response = await fetch(form.action, { method: "POST", ...withToken(new URLSearchParams(new FormData(form))) });
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  main.replaceChildren(...page.getElementById("main").childNodes);
  document.title = page.title;
  history.replaceState(null, "", response.url);
  const next = main.querySelector("[data-deleting]");
  return next && Number(next.dataset.left) < Number(form.dataset.left) ? next : null;
}

function sayInterrupted(form) {
  form.previousElementSibling?.matches("[role=alert]") && form.previousElementSibling.remove();
  const notice = document.createElement("p");
  notice.className = "notice notice-warning";
  notice.setAttribute("role", "alert");
  notice.textContent = "The site can't be reached at the moment. What is deleted so far stays deleted. Please press again.";
  form.before(notice);
}
