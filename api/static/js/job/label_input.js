// A label that can be put right in its place. All inputs of one label show the same.

import { el } from "../elements.js";

export class LabelInput {
  constructor(corrections, image, props) {
    this.element = el("textarea", {
      class: "label-input", rows: "1", maxlength: "2000", spellcheck: "true", ...props, value: corrections.text(image.index),
      oninput: () => corrections.set(image.index, this.element.value),
      onblur: () => { this.element.value = corrections.text(image.index); },
      onkeydown: (event) => this.#onKey(event, corrections, image),
    });
    this.#mark(corrections, image);
    corrections.addEventListener("change", ({ detail }) => {
      if (detail !== image.index) return;
      if (document.activeElement !== this.element) this.element.value = corrections.text(image.index);
      this.#mark(corrections, image);
    });
  }

  #mark(corrections, image) {
    this.element.classList.toggle("corrected", corrections.isCorrected(image.index));
  }

  #onKey(event, corrections, image) {
    if (event.key === "Escape") {
      corrections.set(image.index, corrections.labels.get(image.index));
      this.element.value = corrections.text(image.index);
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.element.blur();
    }
  }
}
