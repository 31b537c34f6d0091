// The ways to take a sheet along: its pages, its manifest, and the same sheet in another format.

import { request } from "../api.js";
import { getKey } from "../api_key.js";
import { el, newId } from "../elements.js";
import { bytes } from "../wording.js";

const FORMATS = [["png", "PNG"], ["jpg", "JPEG"], ["webp", "WebP"], ["avif", "AVIF"], ["tiff", "TIFF"], ["pdf", "PDF"], ["html", "HTML viewer"]];

export class Downloads {
  /** `onFormat` is asked to make the sheet in another format. */
  constructor(job, manifest, onFormat) {
    this.job = job;
    this.trouble = el("p", { class: "error-note", role: "alert", hidden: true });
    const name = FORMATS.find(([value]) => value === job.spec.format)?.[1] ?? job.spec.format;
    const pages = job.result.pages;
    const select = el("select", { id: newId() }, FORMATS.filter(([value]) => value !== job.spec.format).map(([value, text]) => el("option", { value }, text)));
    this.element = el("section", { class: "panel", "aria-labelledby": "downloads-title" },
      el("h2", { id: "downloads-title" }, "Download"),
      el("div", { class: "row pages" }, Array.from({ length: pages }, (_, index) => this.#link(
        pages === 1 ? `${name}, ${bytes(job.result.bytes)}` : `${name} page ${index + 1}`,
        `jobs/${job.id}/result?page=${index + 1}&disposition=attachment`, `sheet-${job.id}${pages > 1 ? `-page-${index + 1}` : ""}.${job.spec.format}`, "button primary")),
      this.#link("Manifest", `jobs/${job.id}/manifest`, `manifest-${job.id}.json`, "button")),
      el("div", { class: "field" }, el("label", { for: select.id }, "In another format, as a new job"),
        el("div", { class: "row tight one-line" }, select, el("button", { type: "button", onclick: () => onFormat(select.value) }, "Make it"))),
      this.trouble);
  }

  #link(text, path, filename, look) {
    return el("a", {
      class: look, href: `v1/${path}`, download: filename,
      onclick: (event) => {
        if (getKey() === null) return; // the browser streams it to disk
        event.preventDefault();
        this.#save(path, filename);
      },
    }, text);
  }

  /** By way of memory, for a link cannot bring a key. */
  async #save(path, filename) {
    this.trouble.hidden = true;
    try {
      const address = URL.createObjectURL(await (await request(path)).blob());
      el("a", { href: address, download: filename }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      this.trouble.hidden = false;
      this.trouble.textContent = error.message;
    }
  }
}
