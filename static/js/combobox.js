/* A text field that suggests labels while the user types: an editable combobox with a list, as in the ARIA Authoring
 * Practices (https://www.w3.org/WAI/ARIA/apg/patterns/combobox/).
 *
 * The module turns each <input data-combobox="/api/labels"> into one. Optional attributes: data-prediction, an id, whose
 * labels come first; data-exclude, a label that is not suggested; data-unmatched, a sentence that says what becomes of a
 * text that matches no label. Without the module it stays a text field, with the suggestions of its <datalist>. The
 * field's value is the chosen or typed text, and the server resolves it to a label. The styles are in combobox.css.
 */

const TYPING_PAUSE = 120; // milliseconds after the last key before a search starts
// The property of a field that holds its Combobox. A second copy of this module uses the same one.
const KEY = Symbol.for("mlsite.combobox");
let count = 0;

/**
 * Turns a text field into a combobox, or sets the callback of an existing one.
 * `onTake(choice)` is called when the user chooses a label, with its entry of `GET /api/labels`.
 */
export function enhance(input, { onTake } = {}) {
  input[KEY] ??= new Combobox(input);
  if (onTake) input[KEY].onTake = onTake;
}

class Combobox {
  onTake = () => {};
  choices = [];
  active = -1; // the index of the option that Enter chooses
  request = null; // the AbortController of the current search, if any

  constructor(input) {
    this.input = input;
    do this.id = `combobox-${(count += 1)}`;
    while (document.getElementById(`${this.id}-list`)); // the second copy may have used this id
    this.list = element("div", "combobox-list", { id: `${this.id}-list`, role: "listbox", "aria-label": "Labels" });
    this.list.tabIndex = -1; // otherwise Tab stops at it, as at every scrollable element
    this.list.hidden = true;
    this.status = element("div", "combobox-status", { role: "status" });

    const label = input.closest("label");
    // The list will be inside the label too, but is not part of the field's name.
    if (label && !input.ariaLabel) input.ariaLabel = label.textContent.trim();
    const focused = document.activeElement === input;
    const box = element("div", "combobox");
    input.replaceWith(box);
    box.append(input, this.list, this.status);
    if (focused) input.focus();

    input.removeAttribute("list"); // the browser must not show the <datalist> as well
    for (const [name, value] of Object.entries({
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": this.list.id,
      autocomplete: "off",
      autocapitalize: "none",
      spellcheck: "false",
    })) {
      input.setAttribute(name, value);
    }
    input.addEventListener("input", () => this.search({ pause: TYPING_PAUSE }));
    input.addEventListener("click", () => this.isOpen || this.search());
    input.addEventListener("blur", () => this.close());
    input.addEventListener("keydown", (event) => this.press(event));
    // The field keeps the focus, and a phone shows its keyboard, while the user points at the list.
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      event.preventDefault(); // inside a <label>, the click would also reach the field
      const option = event.target.closest("[role=option]");
      if (option) this.take(this.choices[Number(option.dataset.index)]);
    });
  }

  get isOpen() {
    return !this.list.hidden;
  }

  press(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    const handled = {
      ArrowDown: () => this.arrow(1, event.altKey),
      ArrowUp: () => this.arrow(-1, event.altKey),
      Enter: () => this.isOpen && this.active >= 0 && this.take(this.choices[this.active]),
      Escape: () => this.escape(),
    }[event.key]?.();
    if (handled) {
      event.preventDefault(); // the key must not submit the form or close a dialog
      event.stopPropagation();
    }
  }

  arrow(step, alt) {
    if (alt && step < 0) this.close();
    else if (!this.isOpen) this.search({ then: () => alt || this.activate(step > 0 ? 0 : this.choices.length - 1) });
    else if (!alt) this.activate(this.active < 0 && step < 0 ? this.choices.length - 1 : this.active + step);
    return true;
  }

  escape() {
    if (this.isOpen || this.request) {
      this.close();
      return true;
    }
    if (!this.input.value) return false;
    this.input.value = "";
    this.say("");
    this.changed();
    return true;
  }

  /** Fetches the matching labels and shows them. Cancels an earlier search. */
  async search({ pause = 0, then = () => {} } = {}) {
    this.cancel();
    this.activate(-1); // the visible options belong to an earlier text, so Enter chooses none of them
    const request = (this.request = new AbortController());
    try {
      if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
      if (request.signal.aborted) return;
      const answer = await this.ask(request.signal);
      if (request.signal.aborted) return;
      this.show(answer);
      then();
    } catch (error) {
      if (request.signal.aborted) return;
      console.warn("Could not load the labels:", error);
      this.close();
      this.say("Suggestions aren't available. You can still type a label.", { visible: true });
    } finally {
      if (this.request === request) this.request = null;
    }
  }

  async ask(signal) {
    const address = new URL(this.input.dataset.combobox, document.baseURI);
    address.searchParams.set("q", this.input.value);
    for (const name of ["prediction", "exclude"]) {
      if (this.input.dataset[name]) address.searchParams.set(name, this.input.dataset[name]);
    }
    const response = await fetch(address, { signal, headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    return response.json();
  }

  show({ query, exact, labels }) {
    this.choices = labels;
    this.list.replaceChildren(...labels.map((choice, index) => this.option(choice, index, query)));
    if (labels.length === 0) {
      this.close();
      const text = query ? `No label matches “${query}”.` : "No labels are available.";
      this.say([text, this.input.dataset.unmatched].filter(Boolean).join(" "), { visible: true });
      return;
    }
    this.say(labels.length === 1 ? "1 label to choose." : `${labels.length} labels to choose from.`);
    this.open();
    this.activate(exact !== null && exact === labels[0].label ? 0 : -1);
  }

  option({ name, matched, score, description, reference_images: [image] }, index, query) {
    const option = element("div", "combobox-option", { id: `${this.id}-${index}`, role: "option" });
    option.setAttribute("aria-selected", "false");
    option.dataset.index = index;
    if (description) option.title = description;
    if (image) {
      const sample = element("img", "combobox-image", { alt: "", width: 40, height: 40, loading: "lazy" });
      sample.src = image; // last, so that the browser knows that it is lazy
      option.append(sample);
    }
    const words = element("bdi", "combobox-words"); // a name may be written from right to left
    words.append(...marked(name, matched ? "" : query));
    if (matched) {
      const synonym = element("span", "combobox-synonym");
      synonym.append(", ", ...marked(matched, query));
      words.append(synonym);
    }
    option.append(words);
    if (score !== null) {
      const number = element("span", "combobox-score");
      number.textContent = percent(score);
      option.append(" ", number);
    }
    return option;
  }

  /** Shows the whole list. The page scrolls if there is too little space below the field. */
  open() {
    this.list.hidden = false;
    this.list.scrollTop = 0;
    this.list.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-expanded", "true");
  }

  /** Makes one option the one that Enter chooses. The first follows the last; -1 means none. */
  activate(index) {
    const options = this.list.children;
    options[this.active]?.setAttribute("aria-selected", "false");
    this.active = index < options.length ? index : options.length ? 0 : -1;
    const option = options[this.active];
    if (option) {
      option.setAttribute("aria-selected", "true");
      option.scrollIntoView({ block: "nearest" });
      this.input.setAttribute("aria-activedescendant", option.id);
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  take(choice) {
    this.input.value = choice.name;
    this.close();
    this.say("");
    this.changed();
    this.onTake(choice);
    return true;
  }

  close() {
    this.cancel();
    this.activate(-1);
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }

  cancel() {
    this.request?.abort();
    this.request = null;
  }

  changed() {
    this.input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /**
   * Announces a text to screen readers and, if `visible`, shows it under the field. A visible text stays when the field
   * loses focus: removing it would move the element that the user is about to click.
   */
  say(text, { visible = false } = {}) {
    this.status.classList.toggle("combobox-says", visible);
    this.status.textContent = text;
  }
}

function element(name, className, attributes = {}) {
  const made = document.createElement(name);
  made.className = className;
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

/** Returns the text as nodes, with the typed part in <b>. */
function marked(text, typed) {
  const wanted = typed.replace(/[\s_-]+/g, " ").trim().toLowerCase();
  const start = wanted ? text.replaceAll("-", " ").toLowerCase().indexOf(wanted) : -1;
  if (start < 0) return [text];
  const part = element("b", "combobox-typed");
  part.textContent = text.slice(start, start + wanted.length);
  return [text.slice(0, start), part, text.slice(start + wanted.length)];
}

/** Formats a score as the pages do: values below 1 are never rounded up to 100%. */
function percent(score) {
  return `${((score < 1 ? Math.min(score, 0.999) : 1) * 100).toFixed(1)}%`;
}

for (const input of document.querySelectorAll("input[data-combobox]")) enhance(input);
