/* Loads the combobox and its styles when a text field first needs them. */

/** Makes a text field with `data-combobox` suggest labels. `data-styles`: the address of the combobox's styles. */
export async function suggest(field) {
  if (!field.matches("[data-combobox]") || field.dataset.isSuggesting) return;
  field.dataset.isSuggesting = "true";
  try {
    const [{ enhance }] = await Promise.all([import("./combobox.js"), addStyles(field.dataset.styles)]);
    enhance(field);
    if (field.value && field === document.activeElement) field.dispatchEvent(new Event("input")); // typed meanwhile
  } catch (error) {
    console.warn("Labels cannot be suggested:", error);
    delete field.dataset.isSuggesting; // the next focus tries again
  }
}

function addStyles(address) {
  if (document.querySelector(`link[href="${address}"]`)) return null;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = address;
  return new Promise((resolve) => {
    link.addEventListener("load", resolve);
    link.addEventListener("error", resolve); // a list without styles is better than none
    document.head.append(link);
  });
}
