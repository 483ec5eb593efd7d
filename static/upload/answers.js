/* The answer in a card: the best label, its score, and a link to the result page. */

/** Shows the answer of an upload that is done. */
export function showAnswer(element, { prediction }) {
  const link = document.createElement("a");
  link.href = new URL(prediction.links.page).pathname;
  link.target = "_blank"; // this page goes on sending
  link.textContent = prediction.prediction.replaceAll("_", " ");
  const hint = document.createElement("span");
  hint.className = "visually-hidden";
  hint.textContent = " (opens in a new tab)";
  link.append(hint);
  const score = document.createElement("span");
  score.className = "card-score";
  score.textContent = percent(prediction.score);
  element.replaceChildren(link, " ", score);
}

/** Formats a score as the pages do: values below 1 are never rounded up to 100%. */
function percent(score) {
  return `${((score < 1 ? Math.min(score, 0.999) : 1) * 100).toFixed(1)}%`;
}
