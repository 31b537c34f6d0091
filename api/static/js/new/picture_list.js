// The part of the form that takes files: a drop zone, three inputs, and what is there already.

import { announce } from "../announce.js";
import { el } from "../elements.js";
import { bytes, many } from "../wording.js";
import { filesOf } from "./dropped_files.js";

const SHOWN = 60;

export class PictureList {
  constructor(inputs) {
    this.inputs = inputs;
    this.list = el("ul", { class: "pictures" });
    this.sum = el("p", { class: "sum" });
    this.csv = el("div", {});
    this.zone = el("div", { class: "drop", "data-location": "images" },
      el("p", { class: "drop-title" }, "Drop pictures, a folder or a zip here"),
      el("p", { class: "hint" }, "or paste them. A CSV may come along: its rows label the pictures by file name."),
      el("div", { class: "row" },
        picker("Choose pictures", { multiple: true, accept: "image/*,.zip,.csv" }, (files) => this.#add(files)),
        picker("Choose a folder", { webkitdirectory: true }, (files) => this.#add(files)),
        picker("Choose a CSV", { accept: ".csv,.tsv,text/csv" }, (files) => this.#add(files))));
    this.element = el("section", { class: "panel", "aria-labelledby": "pictures-title" },
      el("h2", { id: "pictures-title" }, "Pictures"), this.zone, this.sum, this.csv, this.list);
    inputs.addEventListener("change", () => this.#draw());
    inputs.addEventListener("thumbnail", ({ detail }) => this.#showThumbnail(detail));
    this.#listen();
    this.#draw();
  }

  #listen() {
    this.zone.addEventListener("dragover", () => this.zone.classList.add("over"));
    this.zone.addEventListener("dragleave", () => this.zone.classList.remove("over"));
    this.zone.addEventListener("drop", async (event) => {
      event.preventDefault();
      this.zone.classList.remove("over");
      this.#add(await filesOf(event.dataTransfer));
    });
    document.addEventListener("paste", async (event) => {
      if (!this.element.isConnected || !event.clipboardData.files.length) return;
      event.preventDefault();
      this.#add(await filesOf(event.clipboardData));
    });
  }

  async #add(files) {
    await this.inputs.add(files);
    announce(`${many(this.inputs.count, "picture")} on the sheet`);
  }

  #draw() {
    const { items, csv, leftOut } = this.inputs;
    this.zone.classList.toggle("small", items.length > 0);
    this.sum.hidden = !items.length && !leftOut.length;
    this.sum.replaceChildren(
      items.length ? `${many(this.inputs.count, "picture")}, ${bytes(this.inputs.bytes)}` : "",
      ...(leftOut.length ? [el("span", { class: "left-out" }, ` Left out, no pictures: ${leftOut.slice(0, 3).join(", ")}${leftOut.length > 3 ? ` and ${leftOut.length - 3} more` : ""}.`)] : []),
      items.length ? el("button", { type: "button", class: "quiet small", onclick: () => this.inputs.clear() }, "Remove all") : "",
    );
    this.csv.replaceChildren(...(csv ? [this.#csvLine(csv)] : []));
    this.list.replaceChildren(...items.slice(0, SHOWN).map((item, index) => this.#entry(item, index)),
      ...(items.length > SHOWN ? [el("li", { class: "more" }, `and ${many(items.length - SHOWN, "more file", "more files")}`)] : []));
  }

  #csvLine({ file, table }) {
    return el("p", { class: "csv-line", "data-location": "csv" },
      el("strong", {}, file.name), ` ${many(table.rows.length, "row")}: ${table.columns.slice(0, 8).join(", ")}`,
      el("button", { type: "button", class: "quiet small", onclick: () => this.inputs.removeCsv() }, "Remove"));
  }

  #entry(item, index) {
    const { file, kind, count, thumb } = item;
    const picture = thumb ? el("img", { src: thumb, alt: "" })
      : el("span", { class: "stand-in", "aria-hidden": "true" }, kind === "zip" ? "zip" : file.name.split(".").pop());
    const entry = el("li", { "data-location": `images[${index}]` }, picture,
      el("span", { class: "file-name", title: file.name }, file.name),
      kind === "zip" ? el("span", { class: "hint" }, count === null ? "content unknown" : many(count, "picture")) : null,
      el("button", { type: "button", class: "quiet icon remove", "aria-label": `Remove ${file.name}`, onclick: () => this.inputs.remove(item) }));
    item.entry = entry;
    return entry;
  }

  #showThumbnail(item) {
    item.entry?.querySelector(".stand-in")?.replaceWith(el("img", { src: item.thumb, alt: "" }));
  }
}

function picker(text, props, onFiles) {
  const input = el("input", {
    type: "file", class: "unseen", tabindex: "-1", "aria-hidden": "true", ...props,
    onchange: () => {
      const files = [...input.files];
      input.value = ""; // the same files may be chosen again
      onFiles(files);
    },
  });
  return el("span", { class: "picker" }, input, el("button", { type: "button", onclick: () => input.click() }, text));
}
