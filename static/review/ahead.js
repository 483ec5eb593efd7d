/* Claims and loads the next cases while the reviewer looks at this one, so that a slow or missing network delays nobody.
 * The server gives a case that is claimed in advance to another reviewer who would otherwise get none.
 */

import { withToken } from "../js/csrf.js";

const CASES = 5;

export class Ahead {
  pages = []; // the pages of the next cases, in order
  loading = null; // the promise of the page that is being loaded

  /** `loadNext({ inAdvance, besides })` claims and loads a case; `besides` are the numbers of cases to leave out. */
  constructor(loadNext) {
    this.loadNext = loadNext;
  }

  /** Loads pages until there are enough or no case is left. `current`: the number of the case on the page. */
  async fill(current) {
    if (this.loading) return;
    try {
      while (this.pages.length < CASES) {
        const besides = [current, ...this.pages.map((page) => page.number)];
        this.loading = this.loadNext({ inAdvance: true, besides });
        const page = await this.loading;
        if (!page.number) break;
        this.pages.push(page);
      }
    } catch {
      // The network is away. `take` reports it if no page is left.
    } finally {
      this.loading = null;
    }
  }

  /** Removes and returns the next page, if there is one. Waits for the one that is being loaded. */
  async take() {
    if (this.pages.length === 0) await this.loading?.catch(() => {});
    return this.pages.shift();
  }

  /** Puts a page in front of the others. */
  putBack(...pages) {
    this.pages.unshift(...pages);
  }

  /** Forgets the page of a case that is shown otherwise. */
  forget(number) {
    this.pages = this.pages.filter((page) => page.number !== number);
  }

  /** Releases all cases, because the reviewer leaves the page. */
  release(address) {
    const { body, headers } = withToken();
    for (const page of this.pages.splice(0)) body.append("case", page.number);
    if (body.has("case")) fetch(address, { method: "POST", body, headers, keepalive: true }).catch(() => {});
  }
}
