/* Loads pages of cases, each with its picture. */

import { enhance } from "../js/combobox.js";
import { Claim } from "./claim.js";
import { describeKeys } from "./keys.js";
import { why } from "./outbox.js";
import { Zoom } from "./zoom.js";

const { reviewer } = document.getElementById("review").dataset;

/** Loads the page of a case, or the page that says that nothing is left. Throws an `Error` that says what happened. */
export async function load(address, options = {}) {
  const response = await fetch(address, { ...options, headers: { Accept: "text/html", ...options.headers } }).catch(() => {
    throw new Error("The server cannot be reached.");
  });
  const loaded = new DOMParser().parseFromString(await response.text(), "text/html");
  const section = loaded.getElementById("review");
  if (!section) throw new Error(why(response));
  if (section.dataset.reviewer !== reviewer) throw new Error("You are logged in as somebody else. Reload the page.");
  // A copy: browsers do not load the pictures of a parsed document.
  const page = prepare({ section: document.importNode(section, true), title: loaded.title, address: response.url });
  await picture(page);
  return page;
}

/** Sets up a page before it is first shown: its picture, its fields, its keys, its claim. */
export function prepare(page) {
  const { section } = page;
  const image = section.querySelector(".picture-frame img");
  if (image) {
    page.zoom = new Zoom(section.querySelector(".picture-frame"), section.querySelector(".zoom-button"));
    image.addEventListener("error", () => picture(page));
  }
  const input = section.querySelector("input[data-combobox]");
  if (input) enhance(input, { onTake: () => input.form.requestSubmit() });
  describeKeys(section);
  page.number = section.dataset.case;
  page.claim = new Claim(section);
  return page;
}

/** Resolves when the picture can be painted. If it is missing, the page says so. */
export async function picture({ section }) {
  const image = section.querySelector(".picture-frame img");
  if (!image) return;
  try {
    await image.decode();
  } catch {
    if (image.complete && image.naturalWidth) return; // loaded, but not decoded in advance
    section.querySelector(".picture-frame").hidden = true;
    section.querySelector(".picture-missing").hidden = false;
  }
}
