// The list and the grid of cases: text fields suggest labels.

import { enhance } from "../js/combobox.js";

for (const input of document.querySelectorAll("[data-combobox]")) {
  // A field may belong to a radio button, which it selects.
  const { chooses } = input.dataset;
  const choose = () => {
    if (chooses) input.form.querySelector(`[value="${chooses}"]`).checked = true;
  };
  input.addEventListener("input", choose);
  enhance(input, {
    onTake() {
      choose();
      if ("submits" in input.dataset) input.form.requestSubmit();
    },
  });
}
