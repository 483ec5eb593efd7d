/* The states of an upload: `preparing`, `waiting`, `offline` and `sending` in the browser; `queued`, `running` and `done`
 * as the site says; `failed` (another attempt may help), `rejected` and `cancelled`.
 */

const UNSENT = ["preparing", "waiting", "offline", "sending"];
const ACCEPTED = ["queued", "running"];

/** Whether the picture is to be sent. */
export const isUnsent = ({ state }) => UNSENT.includes(state);

/** Whether the site has the picture, and has not answered yet. */
export const isAccepted = ({ state }) => ACCEPTED.includes(state);

/** Whether the picture has no answer yet, and is to get one. */
export const isWaiting = (upload) => isUnsent(upload) || isAccepted(upload);

/** Whether the picture has no answer, because something was wrong. */
export const isFailed = ({ state }) => state === "failed" || state === "rejected";
