/* The answer in a card, and what the visitor says about it: right, not sure, or what it really is. */

import { suggest } from "../js/suggest.js";
import { Refused, send } from "./statements.js";

const template = document.getElementById("picture-answer");
const KEYS = { y: "right", n: "wrong", u: "unsure" };

export class Answer {
  isSending = false;

  /** `element`: of the card. `upload`: is done. `onSaid(statement)` is called when the site has stored a statement. */
  constructor(element, upload, onSaid) {
    this.upload = upload;
    this.onSaid = onSaid;
    element.replaceChildren(template.content.cloneNode(true));
    this.element = element;
    this.form = element.querySelector("form");
    this.field = this.form.elements.expected;
    this.problem = element.querySelector(".answer-problem");
    this.showBest();
    this.showOthers();
    this.showStatement();
    element.addEventListener("click", ({ target }) => this.click(target.closest("button")));
    element.addEventListener("keydown", (event) => this.typeInField(event));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.say("wrong", this.field.value.trim());
    });
  }

  showBest() {
    const { prediction, name } = this.upload;
    this.element.querySelector("a").href = new URL(prediction.links.page).pathname;
    this.element.querySelector(".card-score").textContent = percent(prediction.score);
    this.element.querySelector(".answer-verdicts").setAttribute("aria-label", `${name}: is this right?`);
  }

  /** Shows a button for each of the next best labels. */
  showOthers() {
    const others = this.upload.prediction.labels.slice(1);
    const buttons = others.map(({ label }, index) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "button", textContent: readable(label) });
      button.dataset.label = label;
      button.setAttribute("aria-keyshortcuts", index + 1);
      return button;
    });
    this.element.querySelector(".answer-labels").replaceChildren(...buttons);
  }

  click(button) {
    if (!button) return;
    const { verdict, label } = button.dataset;
    if (verdict === "wrong") this.correct(this.form.hidden);
    else if (verdict) this.say(verdict);
    else if (label) this.say("wrong", label);
    else if ("change" in button.dataset) this.change();
  }

  /** Handles a key that was pressed on the card outside its text field. Returns whether it has a meaning here. */
  press(key) {
    if (!this.form.hidden && /^[1-9]$/.test(key)) {
      const button = this.form.querySelectorAll("[data-label]")[key - 1];
      button?.click();
      return Boolean(button);
    }
    if (!this.form.hidden && key === "Escape") {
      this.correct(false);
      return true;
    }
    const verdict = this.form.hidden && KEYS[key.toLowerCase()];
    if (!verdict) return false;
    if (verdict === "wrong") {
      this.setAsking(true);
      this.correct(true);
    } else {
      this.say(verdict);
    }
    return true;
  }

  /** Shows or hides the question what the picture shows really. */
  correct(isOpen) {
    this.form.hidden = !isOpen;
    const no = this.element.querySelector('[data-verdict="wrong"]');
    no.setAttribute("aria-expanded", isOpen);
    if (!isOpen) {
      no.focus();
      return;
    }
    const { id, prediction } = this.upload.prediction;
    Object.assign(this.field.dataset, { prediction: id, exclude: prediction });
    suggest(this.field);
    (this.form.querySelector("[data-label]") ?? this.field).focus();
  }

  /** A letter that is typed beside the labels goes into the field. */
  typeInField({ key, target, ctrlKey, metaKey, altKey }) {
    const isLetter = key.length === 1 && /\p{L}/u.test(key) && !ctrlKey && !metaKey && !altKey;
    if (isLetter && target.matches("[data-label]")) this.field.focus();
  }

  async say(verdict, expected = "") {
    if (this.isSending) return;
    this.isSending = true;
    this.problem.textContent = "";
    try {
      const { id } = this.upload.prediction;
      await send(this.form.dataset.feedback, { prediction: id, verdict, expected });
      const statement = { verdict, expected };
      this.upload.statement = statement;
      this.showStatement();
      this.onSaid(statement);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.problem.textContent = error.message;
    } finally {
      this.isSending = false;
    }
  }

  /** Shows the best label. A label of a low score is called so until the visitor has confirmed it. */
  showLabel() {
    const { prediction, statement } = this.upload;
    const { uncertainBelow } = this.element.querySelector(".answer-best").dataset;
    const isUncertain = prediction.score < Number(uncertainBelow) && statement?.verdict !== "right";
    const label = readable(prediction.prediction);
    this.element.querySelector(".answer-label").textContent = isUncertain ? `Perhaps ${label}` : label;
  }

  showStatement() {
    this.showLabel();
    const { statement } = this.upload;
    this.setAsking(!statement);
    if (statement) this.element.querySelector(".answer-said span").textContent = words(statement);
  }

  /** Asks again. */
  change() {
    this.setAsking(true);
    this.element.querySelector("[data-verdict]").focus();
  }

  setAsking(isAsking) {
    this.element.querySelector(".answer-verdicts").hidden = !isAsking;
    this.element.querySelector(".answer-said").hidden = isAsking;
    if (!isAsking) this.form.hidden = true;
  }
}

/** Says in words what the visitor has said. */
function words({ verdict, expected }) {
  if (verdict === "right") return "You said: yes.";
  if (verdict === "unsure") return "You said: not sure.";
  return expected ? `You said: no, it is “${readable(expected)}”.` : "You said: no.";
}

export function readable(label) {
  return label.replaceAll("_", " ");
}

/** Formats a score as the pages do: values below 1 are never rounded up to 100%. */
function percent(score) {
  return `${((score < 1 ? Math.min(score, 0.999) : 1) * 100).toFixed(1)}%`;
}
