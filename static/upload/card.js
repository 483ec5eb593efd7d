/* The card of one upload: its preview, what happens to it, and its answer. */

import { Answer } from "./answers.js";
import { showLarge, showSmall } from "./previews.js";
import { isWaiting } from "./states.js";

const template = document.getElementById("picture-card");

export class Card {
  preview = ""; // "small" or "large", once it is shown
  answer = null; // once the picture is answered

  /** `onSaid(upload)` is called when the visitor has said something about the answer. */
  constructor(upload, onSaid) {
    this.upload = upload;
    this.onSaid = onSaid;
    this.element = template.content.cloneNode(true).firstElementChild;
    this.element.tabIndex = -1; // takes the focus when a button that has it disappears
    this.part("name").textContent = upload.name;
    this.part("progress").setAttribute("aria-label", `Sending: ${upload.name}`);
    for (const button of this.element.querySelectorAll("[data-action]")) {
      button.setAttribute("aria-label", `${button.textContent}: ${upload.name}`);
    }
  }

  part(name) {
    return this.element.querySelector(`.card-${name}`);
  }

  render({ isLarge }) {
    const { state, size, sent, canRetry } = this.upload;
    this.element.dataset.state = state;
    this.part("state").textContent = words(this.upload, isLarge);
    this.part("progress").hidden = state !== "sending";
    this.part("progress").value = size ? sent / size : 0;
    this.setHidden("cancel", !isWaiting(this.upload) || state === "running");
    this.setHidden("retry", !canRetry);
    // The site shows formats that the browser cannot.
    if (state === "done" && !this.answer && this.part("kind")) this.preview = "";
    this.showPreview(isLarge ? "large" : "small");
    // The result page, which is being loaded, takes the place of a large card.
    if (state === "done" && !isLarge) this.answer ??= new Answer(this.part("answer"), this.upload, () => this.onSaid(this.upload));
  }

  showPreview(preview) {
    if (preview === this.preview) return;
    this.preview = preview;
    const show = preview === "large" ? showLarge : showSmall;
    show(this.part("preview"), this.upload);
  }

  setHidden(action, isHidden) {
    const button = this.element.querySelector(`[data-action="${action}"]`);
    if (button.hidden === isHidden) return;
    const hasFocus = document.activeElement === button;
    button.hidden = isHidden;
    if (hasFocus) this.element.focus();
  }
}

/** Says in words what happens to an upload. */
function words({ state, message, size, sent, ahead }, isLarge) {
  if (message) return message;
  switch (state) {
    case "preparing":
      return "Preparing…";
    case "waiting":
      return "Waiting to be sent";
    case "offline":
      return "Waiting for the connection";
    case "sending":
      return sent < size ? `Sending: ${amount(sent, size)}` : "Sent. The site is checking it…";
    case "queued":
      return position(ahead);
    case "running":
      return "Looking at it…";
    case "done":
      return isLarge ? "Loading the answer…" : "";
    case "cancelled":
      return "Cancelled";
    default:
      return "";
  }
}

/** Says how much has been sent, in the unit of the whole: `1.2 of 3.4 MB`. */
function amount(sent, size) {
  const [unit, name, digits] = size < 2 ** 20 ? [2 ** 10, "KB", 0] : [2 ** 20, "MB", 1];
  return `${(sent / unit).toFixed(digits)} of ${(size / unit).toFixed(digits)} ${name}`;
}

function position(ahead) {
  if (ahead === null || ahead === undefined) return "Waiting for its answer";
  return ahead ? `${ahead} before it` : "Next";
}
