/* The feedback form of the result page: "No" moves the focus to the field that it opens. */

for (const details of document.querySelectorAll(".feedback details")) {
  details.addEventListener("toggle", () => {
    if (details.open) details.querySelector("input[name=expected]")?.focus();
  });
}
