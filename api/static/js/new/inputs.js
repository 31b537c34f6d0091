// What the next job is made of: pictures, zips and a CSV, in the order they were added.

import { parseCsv } from "./csv_table.js";
import { kindOf } from "./dropped_files.js";
import { thumbnail } from "./thumbnails.js";
import { countImages } from "./zip_listing.js";

const MOST_THUMBNAILS = 200;

/** Fires "change" whenever something was added, removed or got to know better. */
export class Inputs extends EventTarget {
  /** `{file, kind, count, thumb}`; count is null for a zip that cannot be looked into, thumb an address or null. */
  items = [];
  /** `{file, table}`, or null. */
  csv = null;
  /** Names of files that no job can use. */
  leftOut = [];

  async add(files) {
    const fresh = [];
    for (const file of files) {
      const kind = kindOf(file.name, file.type);
      if (kind === "csv") await this.#setCsv(file);
      else if (kind === null) this.leftOut.push(file.name);
      else fresh.push({ file, kind, count: kind === "zip" ? await countImages(file).catch(() => null) : 1, thumb: null });
    }
    this.items.push(...fresh);
    this.#changed();
    for (const item of fresh) {
      if (item.kind !== "image" || this.items.indexOf(item) >= MOST_THUMBNAILS) continue;
      item.thumb = await thumbnail(item.file);
      if (item.thumb) this.dispatchEvent(new CustomEvent("thumbnail", { detail: item }));
    }
  }

  async #setCsv(file) {
    // Of a CSV in an unusual encoding the names may look odd here; the service says what is wrong.
    this.csv = { file, table: parseCsv(await file.text()) };
  }

  remove(item) {
    if (item.thumb) URL.revokeObjectURL(item.thumb);
    this.items = this.items.filter((other) => other !== item);
    this.#changed();
  }

  removeCsv() {
    this.csv = null;
    this.#changed();
  }

  clear() {
    for (const item of this.items) if (item.thumb) URL.revokeObjectURL(item.thumb);
    this.items = [];
    this.csv = null;
    this.leftOut = [];
    this.#changed();
  }

  /** Images there will be; a zip of unknown content counts as one. */
  get count() {
    return this.items.reduce((sum, item) => sum + (item.count ?? 1), 0);
  }

  get bytes() {
    return this.items.reduce((sum, item) => sum + item.file.size, this.csv?.file.size ?? 0);
  }

  /** The address of the thumbnail of each image, null where there is none. */
  get thumbnails() {
    return this.items.flatMap((item) => (item.kind === "image" ? [item.thumb] : Array(item.count ?? 1).fill(null)));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
