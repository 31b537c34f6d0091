// The finished sheet: its picture with the cells on it, the labels to put right, the ways to take it along.

import { newIdempotencyKey, request } from "../api.js";
import { getKey } from "../api_key.js";
import { el } from "../elements.js";
import { many } from "../wording.js";
import { CellDetails } from "./cell_details.js";
import { Corrections } from "./corrections.js";
import { Downloads } from "./downloads.js";
import { LabelTable } from "./label_table.js";
import { SheetViewer } from "./sheet_viewer.js";

const SHOWN = new Set(["image/png", "image/jpeg", "image/webp", "image/avif"]);

export class SheetPart {
  #key = null;

  constructor(job, manifest, signal) {
    this.job = job;
    this.manifest = manifest;
    this.signal = signal;
    this.corrections = new Corrections(manifest.images);
    this.details = new CellDetails(manifest, this.corrections);
    this.table = new LabelTable(manifest, this.corrections);
    this.viewer = SHOWN.has(job.result.media_type) ? new SheetViewer(manifest, this.corrections, (page) => this.#pageAddress(page)) : null;
    this.trouble = el("div", { class: "notice bad", role: "alert", hidden: true });
    this.bar = this.#changeBar();
    this.downloads = new Downloads(job, manifest, (format) => this.#render({ format }));
    this.element = el("div", { class: "stack" },
      el("div", { class: "sheet-columns" },
        this.viewer?.element ?? this.#notShown(),
        el("div", { class: "stack" }, this.details.element, this.downloads.element)),
      this.table.element, this.bar);
    this.viewer?.addEventListener("select", ({ detail }) => this.details.show(detail));
    this.table.addEventListener("select", ({ detail }) => { this.viewer?.select(detail); this.details.show(detail); });
    this.corrections.addEventListener("change", () => this.#showChanges());
  }

  start() {
    const first = this.manifest.images[0];
    if (first) this.details.show(first.index);
    this.viewer?.start(this.signal);
  }

  /** Read into memory: an <img> could not bring a key. */
  async #pageAddress(page) {
    const response = await request(`jobs/${this.job.id}/result?page=${page}&disposition=attachment`, { signal: this.signal });
    const address = URL.createObjectURL(await response.blob());
    this.signal.addEventListener("abort", () => URL.revokeObjectURL(address));
    return address;
  }

  #notShown() {
    const { media_type: kind } = this.job.result;
    const inTab = getKey() === null && (kind === "text/html" || kind === "application/pdf");
    return el("div", { class: "panel not-shown" },
      el("p", {}, `A sheet of the type ${kind} is not shown here: download it${inTab ? " or open it in a tab of its own" : ""}. Its labels can be put right below.`),
      inTab ? el("a", { class: "button", href: `v1/jobs/${this.job.id}/result`, target: "_blank", rel: "noopener" }, "Open it") : null);
  }

  #changeBar() {
    this.changes = el("span", {});
    this.again = el("button", { type: "button", class: "primary", onclick: () => this.#render({}) }, "Render again");
    return el("div", { class: "change-bar", hidden: true, role: "region", "aria-label": "Changed labels" }, this.trouble,
      el("div", { class: "row spread" }, this.changes,
        el("div", { class: "row" },
          el("button", { type: "button", onclick: () => this.corrections.clear() }, "Discard"), this.again)));
  }

  #showChanges() {
    this.#key = null;
    this.trouble.hidden = true;
    this.bar.hidden = this.corrections.count === 0;
    this.changes.textContent = `${many(this.corrections.count, "label")} changed. A new job makes the sheet again; this one stays.`;
  }

  /** A new job of the same pictures, with the labels as they stand here and `spec` on top. */
  async #render(spec) {
    this.#key ??= newIdempotencyKey();
    this.again.disabled = true;
    try {
      const response = await request(`jobs/${this.job.id}/relabel`, {
        method: "POST", json: { labels: this.corrections.labelsByIndex, spec },
        headers: { "Idempotency-Key": `${this.#key}${spec.format ?? ""}` },
      });
      location.hash = `#/jobs/${(await response.json()).id}`;
    } catch (error) {
      this.bar.hidden = false;
      this.trouble.hidden = false;
      this.trouble.textContent = error.message;
    } finally {
      this.again.disabled = false;
    }
  }
}
