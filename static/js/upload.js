/* The upload form: sends the file in the background, so that an error keeps the chosen file, and waits out a site that
 * is busy. Without this module the browser sends the form itself.
 */

const MOST_ATTEMPTS = 10;
const form = document.querySelector("form.upload");
const rejection = document.getElementById("rejection");
const button = form.querySelector("button");
let isSending = false;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isSending) send(new FormData(form));
});

// A page that the browser kept while the visitor was at the result page must accept another picture.
addEventListener("pageshow", () => setSending(false));

async function send(body) {
  setSending(true);
  say("");
  const key = crypto.randomUUID();
  try {
    for (let attempt = 1; ; attempt += 1) {
      const headers = { Accept: "application/json", "Idempotency-Key": key };
      const response = await fetch(form.action, { method: "POST", body, headers });
      const address = response.headers.get("Location");
      if (address) {
        location.assign(address);
        return; // the button stays disabled until the page is left
      }
      const seconds = Number(response.headers.get("Retry-After"));
      if (!seconds || attempt === MOST_ATTEMPTS) {
        say(await explanation(response));
        break;
      }
      await countDown(seconds);
    }
  } catch {
    say("Your picture could not be sent. Please check the connection and try again.");
  }
  setSending(false);
}

async function countDown(seconds) {
  const number = document.createElement("span");
  number.setAttribute("aria-hidden", "true"); // screen readers would read the notice again each second
  for (let left = seconds; left > 0; left -= 1) {
    number.textContent = ` in ${left} s`;
    if (left === seconds) say(["We're busy. Trying again", number, "…"], "notice-warning");
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

/** Returns why the picture is rejected, in words. */
async function explanation(response) {
  try {
    return (await response.json()).detail;
  } catch {
    return `The site answered with an error (${response.status}).`;
  }
}

/** Shows a text, or a list of texts and nodes. */
function say(text, kind = "notice-error") {
  rejection.replaceChildren();
  if (!text) return;
  const notice = document.createElement("p");
  notice.className = `notice ${kind}`;
  notice.append(...[text].flat());
  rejection.append(notice);
}

function setSending(sending) {
  isSending = sending;
  button.disabled = sending;
  button.textContent = sending ? "Sending…" : "Classify";
}
