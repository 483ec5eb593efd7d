// The grid of cases: Shift-click selects a range, and the number of selected cases is shown.

const form = document.getElementById("grid-form");
const boxes = form ? [...form.querySelectorAll('input[name="case"]')] : [];
const chosen = document.getElementById("grid-chosen");
let last = -1; // index of the box that was changed last

function showNumber() {
  const number = boxes.filter((box) => box.checked).length;
  chosen.textContent = number ? `${number} selected` : "";
}

// A click on a label changes its checkbox, but that event does not say whether Shift is pressed. So remember it.
let withShift = false;
form?.addEventListener("pointerdown", (event) => { withShift = event.shiftKey; });
form?.addEventListener("keydown", (event) => { withShift = event.shiftKey; });
// Otherwise Shift-click would select text.
form?.addEventListener("mousedown", (event) => { if (event.shiftKey && event.target.closest(".case-tile")) event.preventDefault(); });

for (const [index, box] of boxes.entries()) {
  box.addEventListener("change", () => {
    if (withShift && last >= 0) {
      for (const other of boxes.slice(Math.min(last, index), Math.max(last, index) + 1)) other.checked = box.checked;
    }
    last = index;
    showNumber();
  });
}
if (boxes.length) showNumber();
