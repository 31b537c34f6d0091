// Where labels come from: columns, CLIP with its model and words.

import { el } from "../elements.js";
import { check, field, numberInput, select } from "./fields.js";

const IN_FILES = ["auto", "prompt", "seed", "model", "sampler", "steps", "cfg"];

export class LabelFields {
  constructor(inputs, onChange) {
    this.inputs = inputs;
    this.columns = el("input", { type: "text", placeholder: "as the sources say", spellcheck: "false" });
    this.offers = el("div", { class: "chips", role: "group", "aria-label": "Columns to add" });
    this.clip = check("Ask CLIP where nothing else gives a label");
    this.model = select("the default", []);
    this.vocabulary = select("the default", []);
    this.candidates = el("textarea", { rows: "4", placeholder: "red fox\nsnowy owl", spellcheck: "false" });
    this.confidence = numberInput({ min: "0", max: "1", step: "0.05", placeholder: "its own" });
    this.clipPart = el("div", { class: "grid-fields", hidden: true },
      field("Model", this.model, { location: "spec.clip_model" }),
      field("Vocabulary", this.vocabulary, { location: "spec.vocabulary" }),
      field("Least confidence", this.confidence, { location: "spec.min_confidence", hint: "0 to 1; below it CLIP keeps silent" }),
      el("div", { class: "wide" }, field("Or choose among these texts", this.candidates, { location: "spec.candidates", hint: "One a line; they take the vocabulary's place." })));
    this.element = el("section", { class: "panel", "aria-labelledby": "labels-title" },
      el("h2", { id: "labels-title" }, "Labels"),
      field("Columns to draw", this.columns, {
        location: "spec.labels",
        hint: "Of the CSV, or parameters in the files; separate by commas. “auto” draws what varies over the sheet.",
      }),
      this.offers, this.clip.element, this.clipPart);
    this.clip.box.addEventListener("change", () => { this.clipPart.hidden = !this.clip.box.checked; });
    this.element.addEventListener("input", onChange);
    inputs.addEventListener("change", () => this.#offer(onChange));
    this.#offer(onChange);
  }

  #offer(onChange) {
    const names = [...new Set([...(this.inputs.csv?.table.columns ?? []), ...IN_FILES])].slice(0, 16);
    this.offers.replaceChildren(...names.map((name) => el("button", {
      type: "button", class: "chip", onclick: () => {
        const chosen = this.#chosen();
        if (!chosen.includes(name)) this.columns.value = [...chosen, name].join(", ");
        onChange();
      },
    }, name)));
  }

  #chosen() {
    return this.columns.value.split(",").map((part) => part.trim()).filter(Boolean);
  }

  setModels(models) {
    this.model.append(...models.map(({ name, default: isDefault }) => el("option", { value: name }, isDefault ? `${name} (default)` : name)));
  }

  setVocabularies(vocabularies) {
    this.vocabulary.append(...vocabularies.map(({ name }) => el("option", { value: name }, name)));
  }

  spec() {
    const columns = this.#chosen();
    const spec = columns.length ? { labels: columns } : {};
    if (!this.clip.box.checked) return spec;
    spec.use_clip = true;
    if (this.model.value) spec.clip_model = this.model.value;
    if (this.confidence.value) spec.min_confidence = Number(this.confidence.value);
    const candidates = this.candidates.value.split("\n").map((line) => line.trim()).filter(Boolean);
    if (candidates.length) spec.candidates = candidates;
    if (this.vocabulary.value) spec.vocabulary = this.vocabulary.value;
    return spec;
  }
}
