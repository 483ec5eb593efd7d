/* The ways in which pictures reach the upload form besides its file field: dropped anywhere on the page, pasted, as a
 * folder, or from a camera. Its buttons are in `templates/predictions/sources.html`.
 */

const MOST_PICTURES = 1000; // added at once
const MOST_FILES = 20_000; // looked at, whether they are pictures or not
const PICTURE_NAME = /\.(avif|bmp|gif|hei[cf]|jfif|jpe?g|png|tiff?|webp)$/i;
const TEXT_FIELD = 'textarea, input:not([type]), input[type="text"], input[type="search"]';
const byName = new Intl.Collator("en", { numeric: true }).compare;

/** Calls `add` with an array of `File`s whenever the visitor drops, pastes, chooses or takes pictures. */
export function listen(form, add) {
  const notice = form.querySelector(".sources-notice");
  const take = async (given) => {
    if (given.some((item) => item.isDirectory)) notice.textContent = "Reading the folder…";
    const selection = new Selection();
    for (const item of given) await selection.add(item);
    notice.textContent = selection.report();
    if (selection.pictures.length) add(selection.pictures);
  };

  listenForDrops(form, take);
  listenForPastes(form, take);
  const hasTouch = matchMedia("(pointer: coarse)").matches;
  if (hasTouch) offerField(form, "capture", take);
  else {
    offerField(form, "folder", take);
    if (navigator.mediaDevices) offerCamera(form, add, notice);
  }
  form.querySelector(".sources").hidden = false;
}

function listenForDrops(form, take) {
  const hasFiles = (event) => form.isConnected && event.dataTransfer?.types.includes("Files");
  const mark = (isTarget) => form.classList.toggle("is-drop-target", isTarget);
  for (const type of ["dragenter", "dragover"]) {
    addEventListener(type, (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault(); // allows the drop
      event.dataTransfer.dropEffect = "copy";
      mark(true);
    });
  }
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(false); // the pointer has left the window
  });
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    mark(false);
    take(contents(event.dataTransfer));
  });
}

function listenForPastes(form, take) {
  addEventListener("paste", (event) => {
    const { files, types } = event.clipboardData;
    const isText = event.target.matches?.(TEXT_FIELD) && types.some((type) => type !== "Files");
    if (!form.isConnected || !files.length || isText) return;
    event.preventDefault();
    take(contents(event.clipboardData));
  });
}

/** Returns the files and the entries of folders. Call it in the event's handler: the list is empty afterwards. */
function contents(transfer) {
  return [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => {
      const entry = item.webkitGetAsEntry();
      return entry?.isDirectory ? entry : item.getAsFile();
    })
    .filter(Boolean);
}

/** Shows the button that opens the hidden file field of this name. */
function offerField(form, name, take) {
  const field = form.querySelector(`#${name}-field`);
  const button = form.querySelector(`#${name}-button`);
  button.hidden = false;
  button.addEventListener("click", () => field.click());
  field.addEventListener("change", () => {
    take([...field.files].sort((one, other) => byName(one.webkitRelativePath, other.webkitRelativePath)));
    field.value = ""; // so that choosing the same files again is a change
  });
}

function offerCamera(form, add, notice) {
  const button = form.querySelector("#camera-button");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      const { takePicture } = await import("./camera.js");
      const picture = await takePicture(document.getElementById("camera"));
      if (picture) add([picture]);
    } catch {
      notice.textContent = "The camera can't be opened. Please check the connection and try again.";
    }
  });
}

/** The pictures among the files that the visitor gives at once, and how many files were left out. */
class Selection {
  pictures = [];
  others = [];
  seen = 0;
  unreadable = 0;
  isCut = false;

  /** Adds a `File`, or all files of a folder's `FileSystemEntry`. */
  async add(item) {
    if (item instanceof File) this.#addFile(item);
    else await this.#addEntry(item);
  }

  #addFile(file) {
    this.seen += 1;
    if (file.name.startsWith(".")) return; // files of the system, such as .DS_Store
    if (!isPicture(file)) this.others.push(file.name);
    else if (this.pictures.length < MOST_PICTURES) this.pictures.push(file);
    else this.isCut = true;
    if (this.seen >= MOST_FILES) this.isCut = true;
  }

  async #addEntry(entry) {
    try {
      if (entry.isFile) this.#addFile(await fileOf(entry));
      else await this.#addFolder(entry);
    } catch {
      this.unreadable += 1;
    }
  }

  async #addFolder(folder) {
    for (const entry of await entriesOf(folder)) {
      if (this.isCut) return;
      await this.#addEntry(entry);
    }
  }

  /** Says what was left out. Empty if nothing was. */
  report() {
    const sentences = [];
    if (this.isCut) {
      const number = this.pictures.length.toLocaleString("en");
      sentences.push(`Only the first ${number} pictures were added. Please add the rest in smaller parts.`);
    }
    if (this.others.length === 1) sentences.push(`“${this.others[0]}” was left out: it isn't a picture.`);
    if (this.others.length > 1) sentences.push(`${this.others.length} files were left out: they aren't pictures.`);
    if (this.unreadable === 1) sentences.push("A file or folder couldn't be read.");
    if (this.unreadable > 1) sentences.push(`${this.unreadable} files or folders couldn't be read.`);
    if (!sentences.length && !this.pictures.length) sentences.push("There are no pictures in it.");
    return sentences.join(" ");
  }
}

function isPicture(file) {
  return file.type.startsWith("image/") || PICTURE_NAME.test(file.name);
}

function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** Returns the entries of a folder by name. A reader gives at most 100 at a time, and none at the end. */
async function entriesOf(folder) {
  const reader = folder.createReader();
  const entries = [];
  while (entries.length < MOST_FILES) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    entries.push(...some);
  }
  return entries.sort((one, other) => byName(one.name, other.name));
}
