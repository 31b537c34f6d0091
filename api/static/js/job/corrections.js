// Labels that the user put right, until they are sent.

export class Corrections extends EventTarget {
  #texts = new Map();

  constructor(images) {
    super();
    this.labels = new Map(images.map(({ index, label }) => [index, label]));
  }

  /** The text as it stands: corrected, or as it was made. */
  text(index) {
    return this.#texts.get(index) ?? this.labels.get(index);
  }

  isCorrected(index) {
    return this.#texts.has(index);
  }

  /** What is as it was, or empty, is no correction. */
  set(index, text) {
    if (!text.trim() || text === this.labels.get(index)) this.#texts.delete(index);
    else this.#texts.set(index, text);
    this.dispatchEvent(new CustomEvent("change", { detail: index }));
  }

  clear() {
    const indices = [...this.#texts.keys()];
    this.#texts.clear();
    for (const index of indices) this.dispatchEvent(new CustomEvent("change", { detail: index }));
  }

  get count() {
    return this.#texts.size;
  }

  /** As `POST .../relabel` takes it. */
  get labelsByIndex() {
    return Object.fromEntries(this.#texts);
  }
}
