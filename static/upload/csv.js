/* The uploads as a CSV file (RFC 4180), as a spreadsheet program opens it. */

const COLUMNS = {
  picture: ({ name }) => name,
  state: ({ state }) => state,
  label: ({ prediction }) => prediction?.prediction,
  score: ({ prediction }) => prediction?.score,
  model: ({ prediction }) => prediction?.model,
  "your verdict": ({ statement }) => statement?.verdict,
  "your label": ({ statement }) => statement?.expected,
  message: ({ message }) => message,
  page: ({ prediction }) => prediction?.links.page,
};
const BYTE_ORDER_MARK = "\ufeff"; // without it, Excel reads UTF-8 as the system's own encoding

/** Downloads a file with a row for each upload. */
export function download(uploads) {
  const file = new Blob([BYTE_ORDER_MARK, table(uploads)], { type: "text/csv" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = "answers.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // some browsers read it only after the visitor has agreed
}

function table(uploads) {
  const rows = [Object.keys(COLUMNS), ...uploads.map((upload) => Object.values(COLUMNS).map((value) => value(upload)))];
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function cell(value) {
  return typeof value === "number" ? String(value) : `"${neutral(value ?? "").replaceAll('"', '""')}"`;
}

/** Puts an apostrophe before a text that a spreadsheet would run as a formula (OWASP, "CSV Injection"). */
function neutral(text) {
  return /^[\s\p{Cc}\p{Cf}]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/u.test(text) ? `'${text}` : text;
}
