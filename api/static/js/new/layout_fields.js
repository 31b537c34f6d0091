// How the sheet looks: a template, and what is to differ from it.

import { el } from "../elements.js";
import { countValues } from "./csv_table.js";
import { check, field, group, numberInput, select } from "./fields.js";

const FORMATS = [["png", "PNG"], ["jpg", "JPEG"], ["webp", "WebP"], ["avif", "AVIF"], ["tiff", "TIFF"], ["pdf", "PDF"], ["html", "HTML viewer"]];
const PRESET = { cell_size: [256, 256], margin: 10, font_size: 16, quality: 90 };

export class LayoutFields {
  constructor(onChange) {
    this.templates = new Map();
    this.template = select("none", []);
    this.rows = numberInput({ min: "1", max: "500" });
    this.cols = numberInput({ min: "1", max: "500" });
    this.width = numberInput({ min: "16", max: "4096", "aria-label": "Cell width in pixels" });
    this.height = numberInput({ min: "16", max: "4096", "aria-label": "Cell height in pixels" });
    this.margin = numberInput({ min: "0", max: "500" });
    this.fontSize = numberInput({ min: "6", max: "200" });
    this.title = el("input", { type: "text", maxlength: "500" });
    this.position = select("below", [["overlay", "over the picture"], ["none", "nowhere"]]);
    this.resize = select("fit: whole picture", [["fill", "fill: whole cell"], ["stretch", "stretch"]]);
    this.overflow = select("more pages", [["grow", "more rows"], ["error", "refuse"]]);
    this.sort = select("as given", [["name", "by name"], ["similarity", "by likeness"]]);
    this.ownBackground = check("Background");
    this.background = el("input", { type: "color", value: "#ffffff", "aria-label": "Background colour" });
    this.format = select(null, FORMATS);
    this.quality = numberInput({ min: "1", max: "100" });
    this.rowsBy = el("input", { type: "text", placeholder: "column", "aria-label": "Column that decides the row", spellcheck: "false" });
    this.colsBy = el("input", { type: "text", placeholder: "column", "aria-label": "Column that decides the column", spellcheck: "false" });
    this.autoAxes = check("Find both by itself");
    this.stack = check("Show pictures that look the same as one");
    this.element = this.#arranged();
    this.element.addEventListener("input", onChange);
    this.template.addEventListener("input", () => this.#showPreset());
    this.background.addEventListener("input", () => { this.ownBackground.box.checked = true; });
    this.#showPreset();
  }

  #arranged() {
    return el("section", { class: "panel", "aria-labelledby": "layout-title" },
      el("h2", { id: "layout-title" }, "Layout"),
      el("div", { class: "grid-fields" },
        field("Template", this.template, { location: "spec.template" }),
        field("Rows", this.rows, { location: "spec.rows" }),
        field("Columns", this.cols, { location: "spec.cols" }),
        group("Cell, pixels", [this.width, el("span", { "aria-hidden": "true" }, "×"), this.height], { location: "spec.cell_size" }),
        field("Margin", this.margin, { location: "spec.margin" }),
        field("Font size", this.fontSize, { location: "spec.font_size" }),
        field("Format", this.format, { location: "spec.format" }),
        field("Labels stand", this.position, { location: "spec.label_position" }),
        el("div", { class: "wide" }, field("Title", this.title, { location: "spec.title" }))),
      el("details", {},
        el("summary", {}, "More: plots, order, overflow, quality"),
        el("div", { class: "grid-fields" },
          field("Pictures", this.resize, { location: "spec.resize_mode" }),
          field("Past the last cell", this.overflow, { location: "spec.overflow" }),
          field("Order", this.sort, { location: "spec.sort" }),
          field("Quality", this.quality, { location: "spec.quality" }),
          el("div", { class: "field", "data-location": "spec.background" }, this.ownBackground.element, this.background),
          el("div", { class: "wide" }, group("X/Y plot", [
            el("span", {}, "rows by"), this.rowsBy, el("span", {}, "columns by"), this.colsBy], { location: "spec.axes" }), this.autoAxes.element),
          el("div", { class: "wide" }, this.stack.element))));
  }

  setTemplates(templates) {
    this.templates = new Map(templates.map(({ name, spec }) => [name, spec]));
    this.template.append(...templates.map(({ name, built_in: builtIn }) => el("option", { value: name }, builtIn ? name : `${name} (own)`)));
  }

  /** What counts where a field is left empty. */
  #showPreset() {
    const preset = { ...PRESET, ...this.templates.get(this.template.value) };
    this.rows.placeholder = preset.rows ?? "as needed";
    this.cols.placeholder = preset.cols ?? "as needed";
    [this.width.placeholder, this.height.placeholder] = preset.cell_size;
    this.margin.placeholder = preset.margin;
    this.fontSize.placeholder = preset.font_size;
    this.quality.placeholder = preset.quality;
  }

  spec() {
    const spec = {};
    const put = (name, control, read = (text) => text) => { if (control.value !== "") spec[name] = read(control.value); };
    put("template", this.template);
    put("rows", this.rows, Number);
    put("cols", this.cols, Number);
    put("margin", this.margin, Number);
    put("font_size", this.fontSize, Number);
    put("quality", this.quality, Number);
    put("title", this.title);
    put("label_position", this.position);
    put("resize_mode", this.resize);
    put("overflow", this.overflow);
    put("sort", this.sort);
    if (this.format.value !== "png") spec.format = this.format.value;
    if (this.ownBackground.box.checked) spec.background = this.background.value;
    if (this.stack.box.checked) spec.stack_duplicates = true;
    if (this.width.value || this.height.value) {
      spec.cell_size = [Number(this.width.value || this.width.placeholder), Number(this.height.value || this.height.placeholder)];
    }
    const axes = { ...(this.rowsBy.value && { rows_by: this.rowsBy.value }), ...(this.colsBy.value && { cols_by: this.colsBy.value }) };
    if (this.autoAxes.box.checked) spec.axes = "auto";
    else if (Object.keys(axes).length) spec.axes = axes;
    return spec;
  }

  /** Values of each axis, as the preview wants them; null without axes, or where the CSV does not tell. */
  axisCounts(table) {
    const { axes } = this.spec();
    if (!axes || axes === "auto" || !table) return null;
    const rows = axes.rows_by ? countValues(table, axes.rows_by) : 1;
    const cols = axes.cols_by ? countValues(table, axes.cols_by) : 1;
    return rows && cols ? { rows, cols } : null;
  }
}
