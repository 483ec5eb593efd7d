// The list and the grid of cases: text fields suggest labels.

import { enhance } from "../js/combobox.js";

for (const input of document.querySelectorAll("[data-combobox]")) {
  enhance(input, {
    onTake() {
      const chosen = input.dataset.chooses;
      if (chosen) input.form.querySelector(`[value="${chosen}"]`).checked = true;
      if ("submits" in input.dataset) input.form.requestSubmit();
    },
  });
  if (input.dataset.chooses) {
    input.addEventListener("input", () => {
      input.form.querySelector(`[value="${input.dataset.chooses}"]`).checked = true;
    });
  }
}
