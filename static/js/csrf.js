/* Django's CSRF token. A login replaces it, so that an older page in another tab has a token that the server rejects, and
 * Django prefers the token of a form to that of a header. The cookie always has the current one: what this module
 * exports goes with requests of scripts, and every form of the page gets the current token when it is submitted.
 */

const FIELD = "csrfmiddlewaretoken";

/** Returns the headers and the body of a POST request with the current token. `fields`: a URLSearchParams. */
export function withToken(fields = new URLSearchParams()) {
  const body = new URLSearchParams(fields);
  const token = currentToken();
  body.set(FIELD, token);
  return { body, headers: { "X-CSRFToken": token } };
}

/** Removes the token from fields that are kept for later. */
export function withoutToken(fields) {
  const others = new URLSearchParams(fields);
  others.delete(FIELD);
  return others;
}

function currentToken() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";
}

document.addEventListener(
  "submit",
  (event) => {
    const field = event.target.querySelector(`input[name="${FIELD}"]`);
    const token = currentToken();
    if (field && token) field.value = token;
  },
  { capture: true },
);
