/* The page that a private link opens: takes the link from the address, where browsers keep what stands after the `#` to
 * themselves. Without this module the link is pasted into the field.
 */

const field = document.getElementById("link");

function takeLink() {
  if (location.hash.length < 2) return;
  field.value = location.hash.slice(1);
  document.getElementById("link-field").hidden = true;
  history.replaceState(null, "", location.pathname); // so that the link doesn't stay in the browser's list of visits
}

addEventListener("hashchange", takeLink);
takeLink();
