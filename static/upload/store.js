/* Keeps uploads in the browser's database, so that a page that is reloaded, closed or left loses none.
 *
 * Each tab has a list of uploads, whose id a reload keeps. The tab holds a lock of this name as long as its page is
 * open. The next upload page takes over the uploads to send of lists without a lock, because their tabs were closed. So
 * no two tabs send the same picture. Where the browser has no locks, as without HTTPS, nothing is taken over. Where the
 * visitor allows no storage, nothing is kept.
 */

import { isUnsent } from "./states.js";

const DATABASE = "uploads";
const LIST = "uploads-list"; // in the session storage: the id of this tab's list
const KEPT = "uploads-kept"; // in the local storage while the database is not empty; see `upload.js`
const LOCK = "uploads:"; // followed by the id of a list
const RELOAD = 1000; // milliseconds until the lock of a page that is reloaded is free

/** Returns a random UUID. Without HTTPS there is no `crypto.randomUUID`. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40; // version 4
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export class Store {
  database = null; // none if the visitor allows no storage
  list = "";
  writing = Promise.resolve(); // writes happen one after the other

  static async open() {
    const store = new Store();
    try {
      store.database = await opened();
      store.list = await ownList();
    } catch (error) {
      store.database = null;
      console.warn("Uploads are not kept in this browser:", error);
    }
    return store;
  }

  /** Keeps an upload as it is when it is written. Resolves when it is kept, or cannot be; then `isKept` is false. */
  async keep(upload) {
    upload.isKept = await this.write((uploads) => uploads.put(this.record(upload)));
  }

  async forget({ key }) {
    await this.write((uploads) => uploads.delete(key));
  }

  /** Returns the uploads of this tab, and those that it takes over from closed tabs; none if they cannot be read. */
  async restored() {
    if (!this.database) return [];
    try {
      return await this.read();
    } catch (error) {
      console.warn("The kept uploads could not be read:", error);
      return [];
    }
  }

  async read() {
    const records = await result(this.uploads("readonly").getAll());
    if (!records.length) markKept(false);
    const restored = records.filter(({ list }) => list === this.list);
    const others = new Set(records.map(({ list }) => list));
    others.delete(this.list);
    for (const list of others) restored.push(...(await this.takenOver(list)));
    return restored.sort((one, other) => one.addedAt - other.addedAt).map(upload);
  }

  async takenOver(list) {
    if (!navigator.locks) return [];
    return navigator.locks.request(LOCK + list, { ifAvailable: true }, async (lock) => {
      if (!lock) return []; // its page is open
      const uploads = this.uploads("readwrite");
      const records = (await result(uploads.getAll())).filter((record) => record.list === list);
      const taken = records.filter(canBeSent).map((record) => ({ ...record, list: this.list }));
      for (const record of records) if (!canBeSent(record)) uploads.delete(record.key);
      await Promise.all(taken.map((record) => result(uploads.put(record))));
      return taken;
    });
  }

  /** Returns the record of an upload. It has no file once the site has the picture. */
  record(upload) {
    const { key, name, size, type, addedAt, isPrepared, prediction, statement, message, canRetry } = upload;
    const about = { key, name, size, type, addedAt, isPrepared, prediction, statement, message, canRetry, list: this.list };
    const state = isUnsent(upload) ? "waiting" : upload.state;
    return { ...about, state, file: isUnsent(upload) || canRetry ? upload.file : null };
  }

  uploads(mode) {
    return this.database.transaction(DATABASE, mode).objectStore(DATABASE);
  }

  /** Writes after the earlier writes. Returns whether that was possible: the disk may be full. */
  write(change) {
    if (!this.database) return Promise.resolve(false);
    this.writing = this.writing.then(async () => {
      try {
        await result(change(this.uploads("readwrite")));
        markKept(true);
        return true;
      } catch (error) {
        console.warn("An upload could not be kept:", error);
        return false;
      }
    });
    return this.writing;
  }
}

/** Whether the site does not have the picture, and may accept it. */
function canBeSent(record) {
  return isUnsent(record) || record.canRetry;
}

/** Returns the upload of a record. */
function upload(record) {
  return { ...record, original: record.file, isKept: true, isRestored: true, sent: 0, failures: 0 };
}

function opened() {
  const request = indexedDB.open(DATABASE, 1);
  request.addEventListener("upgradeneeded", () => request.result.createObjectStore(DATABASE, { keyPath: "key" }));
  return result(request);
}

function result(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}

/** Returns the id of this tab's list, and holds its lock. A duplicated tab gets a list of its own. */
async function ownList() {
  const remembered = sessionStorage.getItem(LIST);
  if (remembered && (await isHeld(remembered))) return remembered;
  const list = newKey();
  await isHeld(list);
  sessionStorage.setItem(LIST, list);
  return list;
}

/** Holds the lock of a list until the page is left. Returns whether no other tab holds it. */
function isHeld(list) {
  if (!navigator.locks) return true;
  return new Promise((resolve) => {
    const hold = () => {
      resolve(true);
      return new Promise(() => {});
    };
    navigator.locks.request(LOCK + list, { signal: AbortSignal.timeout(RELOAD) }, hold).catch(() => resolve(false));
  });
}

/** Marks whether the database has uploads, for pages that have not opened it. */
function markKept(isKept) {
  if (isKept) localStorage.setItem(KEPT, "yes");
  else localStorage.removeItem(KEPT);
}
