/* Connects the queue of uploads with the page: the form, the list of cards, and the result page of a single picture. */

import { UploadList } from "./list.js";
import * as resultPage from "./result-page.js";
import { shrunk } from "./shrink.js";
import { isFailed } from "./states.js";
import { Store } from "./store.js";
import { Uploads } from "./uploads.js";

/** Creates the queue for the upload form, with what earlier pages have left. */
export async function create(form) {
  const { maxBytes, predictions, shrinkSide } = form.dataset;
  const settings = {
    address: form.action,
    predictions,
    maxBytes: Number(maxBytes),
    sendsOriginals: () => form.elements.originals?.checked ?? true,
    shrink: (file) => shrunk(file, Number(shrinkSide)),
  };
  const page = new UploadPage(form);
  const uploads = new Uploads(settings, await Store.open(), (upload) => page.show(upload));
  page.start(uploads);
  uploads.restore(await uploads.store.restored());
  return uploads;
}

class UploadPage {
  mode = "none"; // "alone": one picture is shown in place of the form; "list": all are shown below it

  constructor(form) {
    this.form = form;
    this.main = form.closest("main");
  }

  start(uploads) {
    this.uploads = uploads;
    this.list = new UploadList(document.querySelector(".uploads"), uploads);
  }

  show(upload) {
    if (!this.form.isConnected) return; // the result page is shown
    const { alone } = this.uploads;
    if (alone?.state === "cancelled") this.startAgain();
    else if (alone?.prediction) this.showResult(alone);
    this.setMode();
    this.list.show(upload);
  }

  setMode() {
    const { all, alone } = this.uploads;
    const mode = alone && !isFailed(alone) ? "alone" : all.length ? "list" : "none";
    if (mode === this.mode) return;
    this.mode = mode;
    this.main.dataset.uploads = mode;
    this.form.hidden = mode === "alone";
  }

  /** Goes back to the form after a single picture was cancelled. */
  startAgain() {
    this.uploads.clear();
    this.setMode();
    this.form.querySelector("#file").focus();
  }

  /** Shows the result page of a single picture in place of this page. If that is not possible, the list has the answer. */
  async showResult(upload) {
    if (this.shown === upload) return;
    this.shown = upload;
    try {
      const page = await resultPage.load(upload);
      if (this.uploads.alone === upload && upload.state !== "cancelled") await resultPage.show(page, upload);
    } catch (error) {
      console.warn("Could not show the result page:", error);
      this.uploads.showInList(upload);
      this.show(upload);
    }
  }
}
