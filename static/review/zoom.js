/* Zooms a picture by wheel, click, keys and dragging. The frame remains a link to the picture, for the
 * keyboard and for other tabs.
 */

const MAX_SCALE = 16;
const MIN_DRAG = 4; // pixels; a shorter movement is a click

export class Zoom {
  scale = 1; // 1: the whole picture fits the frame
  x = 0; // position of the picture's upper left corner in the frame, in pixels; 0 or less
  y = 0;
  drag = null; // while dragging: the pointer's distance from x and y, and the event it started `from`

  constructor(frame, button) {
    this.frame = frame;
    this.image = frame.querySelector("img");
    this.button = button;
    button.hidden = false;
    button.addEventListener("click", () => this.toggle());
    frame.addEventListener("click", (event) => this.click(event));
    frame.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    frame.addEventListener("pointerdown", (event) => this.startDrag(event));
    frame.addEventListener("pointermove", (event) => this.continueDrag(event));
    for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, () => this.endDrag());
  }

  get isZoomed() {
    return this.scale > 1.001;
  }

  /** Switches between the whole picture and its natural size, or twice the fitted size if that is larger. */
  toggle(point = this.middle()) {
    const { width, height } = this.frame.getBoundingClientRect();
    const natural = Math.max(this.image.naturalWidth / width, this.image.naturalHeight / height);
    this.to(this.isZoomed ? 1 : Math.max(2, natural), point, { smooth: true });
  }

  step(factor) {
    this.to(this.scale * factor, this.middle(), { smooth: true });
  }

  /** Moves the visible part by fractions of the frame. */
  pan(right, down) {
    const { width, height } = this.frame.getBoundingClientRect();
    this.x -= right * width;
    this.y -= down * height;
    this.show({ smooth: true });
  }

  /** Changes the scale; what is at `point` of the frame stays there. */
  to(scale, point, options) {
    const before = this.scale;
    this.scale = Math.min(MAX_SCALE, Math.max(1, scale));
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
    if (!this.isZoomed && event.deltaY >= 0) return; // already the smallest: let the page scroll
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
    this.to(this.scale * Math.exp(-event.deltaY * lines * 0.002), this.at(event));
  }

  startDrag(event) {
    this.dragged = false;
    if (!this.isZoomed || event.button !== 0) return;
    this.drag = { x: event.clientX - this.x, y: event.clientY - this.y, from: event };
    this.frame.setPointerCapture(event.pointerId);
  }

  continueDrag(event) {
    if (!this.drag) return;
    const { x, y, from } = this.drag;
    if (Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) > MIN_DRAG) this.dragged = true;
    if (!this.dragged) return;
    this.frame.classList.add("is-dragged");
    this.x = event.clientX - x;
    this.y = event.clientY - y;
    this.show();
  }

  endDrag() {
    this.drag = null;
    this.frame.classList.remove("is-dragged");
  }
}
