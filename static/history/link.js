/* The private link: a button that copies it. */

import "./times.js";

const field = document.getElementById("link");
const button = document.getElementById("copy");
const status = document.getElementById("copied");

button.hidden = false;
button.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(field.value); // only pages with HTTPS, or of this machine, may do so
    status.textContent = "Copied.";
  } catch {
    field.select();
    status.textContent = document.execCommand("copy") ? "Copied." : "The link is selected: copy it with Ctrl+C or ⌘C.";
  }
});
