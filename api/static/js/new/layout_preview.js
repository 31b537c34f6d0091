// The sheet before there is one: its geometry from the service, the pictures from here.

import { postJson, Problem } from "../api.js";
import { el, svg } from "../elements.js";
import { many } from "../wording.js";

const PAUSE = 250;
const EXAMPLE_COUNT = 9;
const FITS = { fit: "xMidYMid meet", fill: "xMidYMid slice", stretch: "none" };

export class LayoutPreview {
  #timer = null;
  #turn = 0;
  #page = 1;

  /** `wanted()` gives `{spec, count, axisCounts, thumbnails, resizeMode}`; `onProblem` gets a Problem, or null. */
  constructor(wanted, onProblem) {
    this.wanted = wanted;
    this.onProblem = onProblem;
    this.frame = el("div", { class: "preview-frame" });
    this.words = el("p", { class: "hint", role: "status" });
    this.pager = el("div", { class: "row tight", hidden: true });
    this.element = el("section", { class: "panel preview", "aria-labelledby": "preview-title" },
      el("h2", { id: "preview-title" }, "Preview"), this.frame, this.pager, this.words);
  }

  /** Soon, and once for many changes. */
  refresh() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#load(), PAUSE);
  }

  async #load() {
    this.#turn += 1;
    const turn = this.#turn;
    const wanted = this.wanted();
    const body = { spec: wanted.spec, count: wanted.count || EXAMPLE_COUNT };
    if (wanted.axisCounts) body.axis_counts = wanted.axisCounts;
    try {
      const layout = await postJson("preview", body);
      if (turn !== this.#turn) return;
      this.#draw(layout, wanted);
      this.onProblem(null);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.frame.classList.add("stale");
      this.words.textContent = error.message;
      this.onProblem(error instanceof Problem ? error : null);
    }
  }

  #draw(layout, wanted) {
    const pages = layout.pages.length;
    this.#page = Math.min(this.#page, pages);
    const { width, height } = layout.pages[this.#page - 1];
    this.frame.classList.remove("stale");
    this.frame.replaceChildren(this.#sheet(layout, wanted, width, height));
    const cells = wanted.spec.axes && !wanted.axisCounts ? "The axes are found when the job runs. " : "";
    const example = wanted.count ? "" : `With ${many(EXAMPLE_COUNT, "picture")} for example: `;
    this.words.textContent = `${example}${cells}${layout.rows} × ${layout.cols} cells, ${many(pages, "page")}, ${width} × ${height} pixels`;
    this.pager.hidden = pages === 1;
    this.pager.replaceChildren(
      el("button", { type: "button", class: "small", disabled: this.#page === 1, onclick: () => this.#turnTo(this.#page - 1, layout, wanted) }, "Previous page"),
      el("span", {}, `${this.#page} of ${pages}`),
      el("button", { type: "button", class: "small", disabled: this.#page === pages, onclick: () => this.#turnTo(this.#page + 1, layout, wanted) }, "Next page"));
  }

  #turnTo(page, layout, wanted) {
    this.#page = page;
    this.#draw(layout, wanted);
  }

  #sheet(layout, wanted, width, height) {
    const here = (part) => part.page === this.#page;
    const fit = FITS[wanted.spec.resize_mode ?? "fit"];
    const sheet = svg("svg", {
      viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `Page ${this.#page}: ${many(layout.cells.filter(here).length, "cell")}`,
    }, svg("rect", { width, height, fill: wanted.spec.background ?? "#ffffff" }));
    for (const box of [layout.title, layout.header, ...layout.headers.filter(here).map((header) => header.box)]) {
      if (box) sheet.append(words(box, 0.6));
    }
    for (const { index, picture, label } of layout.cells.filter(here)) {
      const thumb = wanted.thumbnails[index];
      sheet.append(svg("rect", { ...box(picture), class: "ghost" }));
      if (thumb) sheet.append(svg("image", { ...box(picture), href: thumb, preserveAspectRatio: fit }));
      if (label) sheet.append(words(label, 0.35 + ((index * 7) % 5) / 10));
    }
    return sheet;
  }
}

function box({ x, y, width, height }) {
  return { x, y, width, height };
}

/** A line that stands for text; `share` is how much of the width it takes. */
function words(area, share) {
  const thickness = Math.min(area.height / 3, 14);
  const width = area.width * share;
  return svg("rect", {
    class: "words", x: area.x + (area.width - width) / 2, y: area.y + (area.height - thickness) / 2,
    width, height: thickness, rx: thickness / 2,
  });
}
