/* The feedback form of the result page. "No" moves the focus to the field that it opens, which then suggests labels. A
 * form is sent in the background, so that a lost connection keeps what was typed. Without this module the browser sends
 * it.
 */

const TIMEOUT_SECONDS = 30;

/** Starts the feedback section of a page. Calls `onAnswer` with the page that answers a form. */
export function listen(section, onAnswer) {
  for (const details of section.querySelectorAll("details")) {
    details.addEventListener("toggle", () => details.open && open(details));
  }
  section.addEventListener("focusin", ({ target }) => suggest(target));
  let isSending = false;
  section.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isSending) return; // pressed twice
    isSending = true;
    await send(event.target, event.submitter, section, onAnswer);
    isSending = false;
  });
  const field = section.querySelector("[autofocus]");
  if (field) suggest(field);
}

function open(details) {
  const field = details.querySelector("input[name=expected]");
  if (!field) return;
  suggest(field);
  // On a phone, the keyboard would cover the labels above the field.
  if (!matchMedia("(pointer: coarse)").matches) field.focus();
}

/** Makes a text field suggest labels, for which it loads a module. */
async function suggest(field) {
  if (!field.matches("[data-combobox]")) return;
  const module = await import("./suggest.js");
  module.suggest(field);
}

async function send(form, button, section, onAnswer) {
  section.setAttribute("aria-busy", "true");
  say("", section);
  try {
    const signal = AbortSignal.timeout(TIMEOUT_SECONDS * 1000);
    const response = await fetch(form.action, { method: "POST", body: fields(form, button, section), signal });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (page.querySelector("main > .result") || response.status === 410) onAnswer(page);
    else say(reason(page) ?? `The site answered with an error (${response.status}).`, section);
  } catch (error) {
    console.warn("Could not send the form:", error);
    say("This could not be sent. Please check the connection and try again.", section);
  }
  section.removeAttribute("aria-busy");
}

/** Returns what an error page of the site says. */
function reason(page) {
  return page.querySelector(".error-page .lead")?.textContent;
}

/** Returns the fields of a form. A comment goes with every answer, also if its field is in another form. */
function fields(form, button, section) {
  const sent = new URLSearchParams(new FormData(form));
  if (button?.name) sent.set(button.name, button.value);
  const comment = section.querySelector("textarea[name=comment]")?.value;
  if (comment) sent.set("comment", comment);
  return sent;
}

function say(text, section) {
  section.querySelector(".not-sent")?.remove();
  if (!text) return;
  const notice = document.createElement("p");
  notice.className = "notice notice-error not-sent";
  notice.setAttribute("role", "alert");
  notice.textContent = text;
  section.prepend(notice);
}
