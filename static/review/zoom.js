/* A picture that can be looked at closely: the wheel, a click, keys and dragging. The frame is a link to the whole
 * picture, and stays one for who opens it with the keyboard or in another tab.
 */

const MOST = 16; // times its size in the frame
const A_DRAG = 4; // pixels that a hand may tremble before a click becomes one

export class Zoom {
  scale = 1; // 1: the whole picture, as large as the frame allows
  x = 0; // where the frame's left upper corner of the picture is, in pixels of the frame; 0 or less
  y = 0;
  drag = null;

  constructor(frame, button) {
    this.frame = frame;
    this.image = frame.querySelector("img");
    this.button = button;
    button.hidden = false;
    button.addEventListener("click", () => this.toggle());
    frame.addEventListener("click", (event) => this.click(event));
    frame.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    frame.addEventListener("pointerdown", (event) => this.take(event));
    frame.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, () => this.leave());
  }

  get isZoomed() {
    return this.scale > 1.001;
  }

  /** From the whole picture to its own pixels, or to twice the size if that is more; and back. */
  toggle(point = this.middle()) {
    const { width, height } = this.frame.getBoundingClientRect();
    const own = Math.max(this.image.naturalWidth / width, this.image.naturalHeight / height);
    this.to(this.isZoomed ? 1 : Math.max(2, own), point, { smooth: true });
  }

  step(factor) {
    this.to(this.scale * factor, this.middle(), { smooth: true });
  }

  /** Moves the part that is seen; in parts of the frame. */
  pan(right, down) {
    const { width, height } = this.frame.getBoundingClientRect();
    this.x -= right * width;
    this.y -= down * height;
    this.show({ smooth: true });
  }

  /** What is at `point` of the frame stays there. */
  to(scale, point, options) {
    const before = this.scale;
    this.scale = Math.min(MOST, Math.max(1, scale));
    this.x = point.x - ((point.x - this.x) / before) * this.scale;
    this.y = point.y - ((point.y - this.y) / before) * this.scale;
    this.show(options);
  }

  show({ smooth = false } = {}) {
    const { width, height } = this.frame.getBoundingClientRect();
    this.x = Math.min(0, Math.max(width * (1 - this.scale), this.x));
    this.y = Math.min(0, Math.max(height * (1 - this.scale), this.y));
    this.frame.classList.toggle("is-smooth", smooth);
    this.frame.classList.toggle("is-zoomed", this.isZoomed);
    this.image.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.button.setAttribute("aria-pressed", String(this.isZoomed));
  }

  middle() {
    const { width, height } = this.frame.getBoundingClientRect();
    return { x: width / 2, y: height / 2 };
  }

  at(event) {
    const { left, top } = this.frame.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  click(event) {
    const byKeyboard = event.detail === 0;
    if (byKeyboard || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (!this.dragged) this.toggle(this.at(event));
  }

  wheel(event) {
    if (!this.isZoomed && event.deltaY >= 0) return; // nothing to make smaller: the page scrolls
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
    this.to(this.scale * Math.exp(-event.deltaY * lines * 0.002), this.at(event));
  }

  take(event) {
    this.dragged = false;
    if (!this.isZoomed || event.button !== 0) return;
    this.drag = { x: event.clientX - this.x, y: event.clientY - this.y, from: event };
    this.frame.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.drag) return;
    const { x, y, from } = this.drag;
    if (Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) > A_DRAG) this.dragged = true;
    if (!this.dragged) return;
    this.frame.classList.add("is-dragged");
    this.x = event.clientX - x;
    this.y = event.clientY - y;
    this.show();
  }

  leave() {
    this.drag = null;
    this.frame.classList.remove("is-dragged");
  }
}
