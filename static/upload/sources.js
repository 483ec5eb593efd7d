/* The ways in which pictures reach the upload form besides its file field. */

/** Calls `add(files)` with pictures from other sources than the file field. */
export function listen(_form, _add) {}
