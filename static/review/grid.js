// The grid of cases: with Shift, everything between two clicks is chosen; the number is said.

const form = document.getElementById("grid-form");
const boxes = form ? [...form.querySelectorAll('input[name="case"]')] : [];
const chosen = document.getElementById("grid-chosen");
let last = -1;

function tell() {
  const number = boxes.filter((box) => box.checked).length;
  chosen.textContent = number ? `${number} chosen` : "";
}

// A click on a label is passed on to its box without saying whether Shift was down, so it is noted on the way.
let withShift = false;
form?.addEventListener("pointerdown", (event) => { withShift = event.shiftKey; });
form?.addEventListener("keydown", (event) => { withShift = event.shiftKey; });
// With Shift a browser would mark text up to here.
form?.addEventListener("mousedown", (event) => { if (event.shiftKey && event.target.closest(".case-tile")) event.preventDefault(); });

for (const [place, box] of boxes.entries()) {
  box.addEventListener("change", () => {
    if (withShift && last >= 0) {
      for (const other of boxes.slice(Math.min(last, place), Math.max(last, place) + 1)) other.checked = box.checked;
    }
    last = place;
    tell();
  });
}
if (boxes.length) tell();
