/* Alerts of the focus view. */

const alerts = document.getElementById("review-alerts");

/**
 * Shows an alert until the reviewer closes it. `quote`: what they typed, to copy; `link`: text and address; `action`:
 * text and callback.
 */
export function warn(text, { quote, link, action } = {}) {
  const box = document.createElement("div");
  const sentence = document.createElement("p");
  sentence.textContent = text;
  box.append(sentence);
  if (quote) {
    const typed = document.createElement("blockquote");
    typed.dir = "auto";
    typed.textContent = quote;
    box.append(typed);
  }
  if (link) {
    const anchor = document.createElement("a");
    [anchor.textContent, anchor.href] = link;
    box.append(anchor);
  }
  const [title, act] = action ?? ["Close", () => box.remove()];
  const button = document.createElement("button");
  button.type = "button";
  button.className = "review-button";
  button.textContent = title;
  button.addEventListener("click", act);
  box.append(button);
  alerts.append(box);
  return box;
}

/** An alert that lasts as long as something waits. An unchanged text is not announced again. */
export class WaitingAlert {
  text = "";
  box = null;

  show(text, options) {
    if (text === this.text) return;
    this.hide();
    this.text = text;
    this.box = warn(text, options);
    const anchor = this.box.querySelector("a");
    if (anchor) anchor.target = "_blank"; // this page keeps what waits
  }

  hide() {
    this.box?.remove();
    this.text = "";
  }
}
