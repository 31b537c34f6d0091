// Everything that is known of one picture: why its label is what it is, and the label to put right.

import { el, newId } from "../elements.js";
import { LABEL_SOURCES, percent } from "../wording.js";
import { LabelInput } from "./label_input.js";

export class CellDetails {
  constructor(manifest, corrections) {
    this.images = new Map(manifest.images.map((image) => [image.index, image]));
    this.corrections = corrections;
    this.body = el("div", { class: "details-body" });
    this.element = el("section", { class: "panel details", "aria-labelledby": "details-title" },
      el("h2", { id: "details-title" }, "Picture"), this.body);
  }

  show(index) {
    const image = this.images.get(index);
    const id = newId();
    const input = new LabelInput(this.corrections, image, { id });
    this.body.replaceChildren(
      el("p", { class: "file-name" }, image.name),
      el("div", { class: "field" }, el("label", { for: id }, "Label"), input.element),
      el("dl", {}, ...this.#facts(image).flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)])));
  }

  #facts(image) {
    const facets = Object.entries(image.facets ?? {}).map(([name, terms]) => [name, terms.slice(0, 3).map(({ term, score }) => `${term} ${percent(score)}`).join(", ")]);
    const stacked = [...this.images.values()].filter((other) => other.stacked_on === image.index).map((other) => other.name);
    const metadata = Object.entries(image.metadata ?? {}).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
    return [
      ["Label from", LABEL_SOURCES[image.label_source] ?? image.label_source],
      image.confidence !== null && image.confidence !== undefined && ["Confidence", percent(image.confidence)],
      image.model && ["Model", image.model],
      ...image.reasons.map((reason) => ["Not from", reason]),
      ["Place", `page ${image.page}, row ${image.row + 1}, column ${image.col + 1}`],
      stacked.length > 0 && ["Also shows", stacked.join(", ")],
      ...facets, ...metadata,
    ].filter(Boolean);
  }
}
