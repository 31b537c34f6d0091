// All labels of a sheet in a table, to be read and put right without the picture.

import { el } from "../elements.js";
import { LABEL_SOURCES, many, percent } from "../wording.js";
import { LabelInput } from "./label_input.js";

const AT_ONCE = 100;

/** Fires "select" with the index of a picture. */
export class LabelTable extends EventTarget {
  #shown = 0;

  constructor(manifest, corrections) {
    super();
    this.images = manifest.images;
    this.corrections = corrections;
    this.body = el("tbody", {});
    this.more = el("button", { type: "button", class: "quiet", onclick: () => this.#showMore() });
    this.element = el("section", { class: "panel", "aria-labelledby": "labels-title" },
      el("h2", { id: "labels-title" }, "Labels"),
      el("p", { class: "hint" }, "Change a label and render the sheet again; Escape takes a change back."),
      el("div", { class: "scroll" }, el("table", { class: "labels" },
        el("thead", {}, el("tr", {}, ["#", "Picture", "Label", "From", "Confidence"].map((text) => el("th", { scope: "col" }, text)))),
        this.body)), this.more);
    this.#showMore();
  }

  #showMore() {
    const next = this.images.slice(this.#shown, this.#shown + AT_ONCE);
    this.body.append(...next.map((image) => this.#row(image)));
    this.#shown += next.length;
    this.more.hidden = this.#shown === this.images.length;
    this.more.textContent = `Show ${many(Math.min(AT_ONCE, this.images.length - this.#shown), "more label", "more labels")}`;
  }

  #row(image) {
    const input = new LabelInput(this.corrections, image, { "aria-label": `Label of ${image.name}` });
    input.element.addEventListener("focus", () => this.dispatchEvent(new CustomEvent("select", { detail: image.index })));
    return el("tr", {},
      el("td", { class: "number" }, String(image.index + 1)),
      el("td", { class: "file-name", title: image.name }, image.name),
      el("td", { class: "label-cell" }, input.element),
      el("td", {}, el("span", { class: `source ${image.label_source}` }, LABEL_SOURCES[image.label_source] ?? image.label_source)),
      el("td", { class: "number" }, image.confidence === null || image.confidence === undefined ? "" : percent(image.confidence)));
  }
}
