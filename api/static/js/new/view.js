// The view where a sheet is ordered. It is made once: pictures and settings outlast a look at another view.

import { announce } from "../announce.js";
import { getJson, newIdempotencyKey, Problem } from "../api.js";
import { onKeyChange } from "../api_key.js";
import { onReturn } from "../connection.js";
import { el } from "../elements.js";
import { askForKey } from "../key_dialog.js";
import { openSnippets } from "../snippet_dialog.js";
import { clearErrors, focusFirstError, showErrors } from "./field_errors.js";
import { Inputs } from "./inputs.js";
import { LabelFields } from "./label_fields.js";
import { LayoutFields } from "./layout_fields.js";
import { LayoutPreview } from "./layout_preview.js";
import { PictureList } from "./picture_list.js";
import { sendJob } from "./upload.js";

let view = null;

export function showNew(main, signal) {
  document.title = "New sheet · Gridscribe";
  view ??= new NewSheet();
  main.replaceChildren(view.element);
  view.preview.refresh();
  view.loadCatalog();
  onReturn(() => { view.loadCatalog(); view.preview.refresh(); }, signal);
}

class NewSheet {
  #key = null;
  #sending = null;
  #hasCatalog = false;

  constructor() {
    this.inputs = new Inputs();
    const changed = () => this.#changed();
    this.inputs.addEventListener("change", changed);
    this.inputs.addEventListener("thumbnail", () => this.preview.refresh());
    this.pictures = new PictureList(this.inputs);
    this.labels = new LabelFields(this.inputs, changed);
    this.layout = new LayoutFields(changed);
    this.preview = new LayoutPreview(() => this.#wanted(), (problem) => this.#showPreviewProblem(problem));
    this.refusal = el("div", { class: "notice bad", role: "alert", hidden: true });
    this.bar = el("progress", { max: "1", value: 0, "aria-label": "Upload" });
    this.share = el("span", { class: "hint" });
    this.uploading = el("div", { class: "uploading", hidden: true }, this.bar, this.share,
      el("button", { type: "button", class: "quiet small", onclick: () => this.#sending?.abort() }, "Stop"));
    this.submit = el("button", { class: "primary" }, "Make the sheet");
    const copy = el("button", { type: "button", onclick: () => this.#openSnippets() }, "Copy as…");
    this.element = el("form", { class: "new-sheet", novalidate: true, "aria-label": "New sheet", onsubmit: (event) => { event.preventDefault(); this.#submit(); } },
      el("h1", {}, "New sheet"),
      el("div", { class: "columns" },
        el("div", { class: "stack" }, this.pictures.element, this.labels.element, this.layout.element),
        el("div", { class: "stack side" }, this.preview.element,
          el("div", { class: "submit-bar" }, this.refusal, this.uploading, el("div", { class: "row" }, this.submit, copy)))));
    onKeyChange(() => { this.loadCatalog(); this.preview.refresh(); });
  }

  /** Templates, models and vocabularies, once they can be had. */
  async loadCatalog() {
    if (this.#hasCatalog) return;
    try {
      const [templates, models, vocabularies] = await Promise.all(["templates", "models", "vocabularies"].map((path) => getJson(path)));
      if (this.#hasCatalog) return;
      this.#hasCatalog = true;
      this.layout.setTemplates(templates.data);
      this.labels.setModels(models.data);
      this.labels.setVocabularies(vocabularies.data);
    } catch { /* the preview, which asks for a key as well, says what is wrong */ }
  }

  #spec() {
    return { ...this.layout.spec(), ...this.labels.spec() };
  }

  #wanted() {
    return {
      spec: this.#spec(), count: this.inputs.count, thumbnails: this.inputs.thumbnails,
      axisCounts: this.layout.axisCounts(this.inputs.csv?.table),
    };
  }

  #changed() {
    this.#key = null; // another payload
    this.refusal.hidden = true;
    clearErrors(this.element, "submission");
    this.preview.refresh();
  }

  #showPreviewProblem(problem) {
    // An answer of the preview may come late: what the submission's said stays.
    clearErrors(this.element, "preview");
    if (problem) showErrors(this.element, problem, "preview");
  }

  async #submit() {
    if (this.#sending) return;
    clearErrors(this.element, "submission");
    this.refusal.hidden = true;
    if (!this.inputs.items.length) {
      this.#refuse("There are no pictures yet: drop some, or choose them.");
      this.pictures.zone.querySelector("button").focus();
      return;
    }
    this.#key ??= newIdempotencyKey();
    const { items, csv } = this.inputs;
    this.#sending = sendJob({ spec: this.#spec(), items, csv }, this.#key, (share) => this.#showProgress(share));
    this.#setBusy(true);
    try {
      const job = await this.#sending.done;
      this.#key = null;
      announce("The job is accepted");
      location.hash = `#/jobs/${job.id}`;
    } catch (error) {
      this.#explain(error);
    } finally {
      this.#sending = null;
      this.#setBusy(false);
    }
  }

  #explain(error) {
    if (error.name === "AbortError") {
      announce("The upload is stopped");
      return;
    }
    this.#refuse(error.message);
    if (error.status === 401) askForKey(error.message);
    else if (error instanceof Problem) {
      showErrors(this.element, error, "submission");
      focusFirstError(this.element);
    }
  }

  #refuse(text) {
    this.refusal.textContent = text;
    this.refusal.hidden = false;
  }

  #setBusy(busy) {
    this.uploading.hidden = !busy;
    this.submit.disabled = busy;
    this.#showProgress(0);
  }

  #showProgress(share) {
    this.bar.value = share;
    this.share.textContent = share < 1 ? `${Math.floor(share * 100)} % sent` : "sent; being looked at";
  }

  #openSnippets() {
    const names = this.inputs.items.map(({ file }) => file.name);
    openSnippets({ spec: this.#spec(), names: names.length ? names : ["picture.png"], csv: this.inputs.csv?.file.name ?? null });
  }
}
