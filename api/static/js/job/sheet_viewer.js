// The sheet's picture, page by page, zoomable, with its cells to point at, tap and walk through by keys.

import { announce } from "../announce.js";
import { el } from "../elements.js";
import { LABEL_SOURCES, percent } from "../wording.js";
import { Zoom } from "./zoom.js";

/** Fires "select" with the index of a picture. */
export class SheetViewer extends EventTarget {
  #page = 1;
  #cells = new Map();
  #addresses = new Map();

  /** `addressOf(page)` gives an address that an <img> can show, later. */
  constructor(manifest, corrections, addressOf) {
    super();
    this.manifest = manifest;
    this.corrections = corrections;
    this.addressOf = addressOf;
    this.picture = el("img", { alt: "", draggable: "false" });
    this.layer = el("div", { class: "cells", role: "group", "aria-label": "Pictures on this page; walk with the arrow keys" });
    this.plane = el("div", { class: "plane" }, this.picture, this.layer);
    this.frame = el("div", { class: "frame" }, this.plane);
    this.tip = el("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    this.state = el("span", { class: "zoom-state", "aria-live": "off" });
    this.trouble = el("p", { class: "notice bad", role: "alert", hidden: true });
    this.zoom = new Zoom(this.frame, this.plane);
    this.pager = el("div", { class: "row tight" });
    this.element = el("section", { class: "panel viewer", "aria-label": "Sheet" }, this.#toolbar(), this.trouble, el("div", { class: "frame-holder" }, this.frame, this.tip));
    this.zoom.addEventListener("zoom", () => { this.state.textContent = percent(this.zoom.scale); });
    this.frame.addEventListener("scroll", () => { this.tip.hidden = true; });
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
  }

  #toolbar() {
    const button = (text, label, act) => el("button", { type: "button", class: "small", "aria-label": label, onclick: act }, text);
    return el("div", { class: "row spread toolbar" },
      el("div", { class: "row tight" },
        button("−", "Zoom out", () => this.zoom.out()), this.state, button("+", "Zoom in", () => this.zoom.in()),
        button("Fit", "Fit the sheet", () => this.zoom.fit()), button("1:1", "Full size", () => this.zoom.zoomTo(1))),
      this.pager);
  }

  start(signal) {
    this.signal = signal;
    this.#show(1);
  }

  async #show(page) {
    this.#page = page;
    const { width, height } = this.manifest.pages[page - 1];
    this.#drawPager();
    this.#drawCells(width, height);
    this.frame.style.aspectRatio = `${width} / ${height}`;
    this.zoom.setSize(width, height);
    this.picture.alt = `Sheet, page ${page} of ${this.manifest.pages.length}`;
    try {
      if (!this.#addresses.has(page)) this.#addresses.set(page, await this.addressOf(page));
      if (this.#page === page) this.picture.src = this.#addresses.get(page);
      this.trouble.hidden = true;
    } catch (error) {
      if (this.signal.aborted) return;
      this.trouble.hidden = false;
      this.trouble.textContent = error.message;
    }
  }

  #drawPager() {
    const pages = this.manifest.pages.length;
    if (pages === 1) return;
    const turn = (text, label, page) => el("button", {
      type: "button", class: "small", "aria-label": label, disabled: page < 1 || page > pages, onclick: () => this.#turn(page),
    }, text);
    this.pager.replaceChildren(turn("‹", "Previous page", this.#page - 1), el("span", {}, `Page ${this.#page} of ${pages}`), turn("›", "Next page", this.#page + 1));
  }

  #turn(page) {
    this.#show(page);
    announce(`Page ${page}`);
  }

  #drawCells(width, height) {
    const here = this.manifest.images.filter((image) => image.page === this.#page && (image.stacked_on ?? null) === null);
    here.sort((a, b) => a.row - b.row || a.col - b.col);
    this.#cells = new Map(here.map((image) => [image.index, this.#cell(image, width, height)]));
    this.layer.replaceChildren(...this.#cells.values());
    // One stop of the Tab key for all of them; arrows go on from there.
    const first = this.layer.firstElementChild;
    if (first) first.tabIndex = 0;
  }

  #cell(image, width, height) {
    const cell = el("button", {
      type: "button", class: "cell", tabindex: "-1", "aria-label": describe(image, this.corrections), "data-index": image.index,
      onclick: () => this.#choose(image), onfocus: () => this.#choose(image),
      onpointerenter: () => this.#point(image, cell), onpointerleave: () => { this.tip.hidden = true; },
    });
    const { x, y, width: w, height: h } = image.cell;
    const share = (part, whole) => `${(100 * part) / whole}%`;
    Object.assign(cell.style, { left: share(x, width), top: share(y, height), width: share(w, width), height: share(h, height) });
    return cell;
  }

  #choose(image) {
    this.select(image.index);
    this.#point(image, this.#cells.get(image.index));
    this.dispatchEvent(new CustomEvent("select", { detail: image.index }));
  }

  /** Mark a picture; where it stands on another page, that one is shown. */
  select(index) {
    const image = this.manifest.images.find((other) => other.index === index);
    if (image.page !== this.#page) this.#show(image.page);
    for (const [other, cell] of this.#cells) {
      const isChosen = other === (image.stacked_on ?? index);
      cell.classList.toggle("chosen", isChosen);
      cell.tabIndex = isChosen ? 0 : -1;
    }
  }

  #point(image, cell) {
    const confidence = image.confidence ?? null;
    this.tip.replaceChildren(el("strong", {}, this.corrections.text(image.index)),
      el("span", {}, LABEL_SOURCES[image.label_source] ?? image.label_source, confidence === null ? "" : `, ${percent(confidence)}`));
    this.tip.hidden = false;
    const [holder, at] = [this.tip.parentElement.getBoundingClientRect(), cell.getBoundingClientRect()];
    const left = Math.min(Math.max(at.left - holder.left, 4), Math.max(4, holder.width - this.tip.offsetWidth - 4));
    const below = at.bottom - holder.top + 6;
    const fits = below + this.tip.offsetHeight < holder.height;
    this.tip.style.left = `${left}px`;
    this.tip.style.top = `${fits ? below : Math.max(4, at.top - holder.top - this.tip.offsetHeight - 6)}px`;
  }

  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { "+": () => this.zoom.in(), "=": () => this.zoom.in(), "-": () => this.zoom.out(), 0: () => this.zoom.fit() };
    if (event.key === "Escape") this.tip.hidden = true;
    else if (keys[event.key]) keys[event.key]();
    else if (event.target.classList.contains("cell") && this.#walk(event.key, Number(event.target.dataset.index))) event.preventDefault();
  }

  /** Arrow keys over the cells as they stand; PageUp and PageDown over pages. */
  #walk(key, index) {
    const pages = this.manifest.pages.length;
    if (key === "PageDown" && this.#page < pages) { this.#turnTo(this.#page + 1); return true; }
    if (key === "PageUp" && this.#page > 1) { this.#turnTo(this.#page - 1); return true; }
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    if (!steps[key]) return false;
    const [down, right] = steps[key];
    const from = this.manifest.images.find((image) => image.index === index);
    const to = this.manifest.images.find((image) => image.page === this.#page && this.#cells.has(image.index)
      && image.row === from.row + down && image.col === from.col + right);
    this.#cells.get(to?.index)?.focus();
    return true;
  }

  #turnTo(page) {
    this.#turn(page);
    this.layer.firstElementChild?.focus();
  }
}

function describe(image, corrections) {
  const confidence = image.confidence ?? null;
  const parts = [corrections.text(image.index), image.name, `label from ${LABEL_SOURCES[image.label_source] ?? image.label_source}`];
  if (confidence !== null) parts.push(`confidence ${percent(confidence)}`);
  return parts.join(", ");
}
