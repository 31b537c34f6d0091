// Zooming and panning of an element in a scrolling frame: wheel, pinch, drag, keys, buttons.

const STEP = 1.25;
const MOST = 8;
/** Pixels left free around a sheet that is fitted. */
const AROUND = 12;

export class Zoom extends EventTarget {
  #scale = 1;
  #isFitted = true;
  #size = { width: 1, height: 1 };

  /** `frame` scrolls, `plane` is in it; the size of `plane` is set here. Fires "zoom". */
  constructor(frame, plane) {
    super();
    this.frame = frame;
    this.plane = plane;
    new ResizeObserver(() => { if (this.#isFitted) this.fit(); }).observe(frame);
    frame.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    this.#listenToDrag();
    this.#listenToPinch();
  }

  /** In pixels at full size. */
  setSize(width, height) {
    this.#size = { width, height };
    this.fit();
  }

  get scale() {
    return this.#scale;
  }

  get least() {
    const { clientWidth, clientHeight } = this.frame;
    const [width, height] = [clientWidth - 2 * AROUND, clientHeight - 2 * AROUND];
    return Math.max(0.01, Math.min(1, width / this.#size.width, height / this.#size.height));
  }

  fit() {
    this.#isFitted = true;
    this.#apply(this.least);
  }

  in() {
    this.zoomTo(this.#scale * STEP);
  }

  out() {
    this.zoomTo(this.#scale / STEP);
  }

  /** `at` is the point of the frame that stays where it is; its middle, where left out. */
  zoomTo(scale, at = { x: this.frame.clientWidth / 2, y: this.frame.clientHeight / 2 }) {
    const before = this.#scale;
    const after = Math.min(MOST, Math.max(this.least, scale));
    this.#isFitted = after === this.least;
    const [x, y] = [(this.frame.scrollLeft + at.x) / before, (this.frame.scrollTop + at.y) / before];
    this.#apply(after);
    this.frame.scrollTo(x * after - at.x, y * after - at.y);
  }

  #apply(scale) {
    this.#scale = scale;
    this.plane.style.width = `${this.#size.width * scale}px`;
    this.plane.style.height = `${this.#size.height * scale}px`;
    this.dispatchEvent(new Event("zoom"));
  }

  #point(event) {
    const { left, top } = this.frame.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  /** The wheel zooms once the sheet has been clicked or focused; before that the page goes on scrolling. */
  #onWheel(event) {
    if (!event.ctrlKey && !event.metaKey && !this.frame.contains(document.activeElement)) return;
    event.preventDefault();
    this.zoomTo(this.#scale * Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), this.#point(event));
  }

  #listenToDrag() {
    let from = null;
    this.frame.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button !== 0) return;
      from = { x: event.clientX, y: event.clientY, left: this.frame.scrollLeft, top: this.frame.scrollTop };
    });
    let hasMoved = false;
    addEventListener("pointermove", (event) => {
      if (!from) return;
      hasMoved ||= Math.hypot(event.clientX - from.x, event.clientY - from.y) > 4;
      this.frame.scrollTo(from.left + from.x - event.clientX, from.top + from.y - event.clientY);
    });
    addEventListener("pointerup", () => { from = null; });
    // The end of a drag is no click on the cell below it.
    this.frame.addEventListener("click", (event) => {
      if (hasMoved) event.stopPropagation();
      hasMoved = false;
    }, { capture: true });
  }

  #listenToPinch() {
    let begin = null;
    const spread = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    this.frame.addEventListener("touchstart", (event) => {
      begin = event.touches.length === 2 ? { spread: spread(event.touches), scale: this.#scale } : null;
    }, { passive: true });
    this.frame.addEventListener("touchmove", (event) => {
      if (!begin || event.touches.length !== 2) return;
      event.preventDefault();
      const [a, b] = event.touches;
      const middle = { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 };
      this.zoomTo(begin.scale * spread(event.touches) / begin.spread, this.#point(middle));
    }, { passive: false });
  }
}
