"use strict";

const find = (id) => document.getElementById(id);
const manifest = JSON.parse(find("gridscribe").textContent);
const images = new Map(manifest.images.map((image) => [image.index, image]));
const cells = find("cells");
const figures = [...cells.querySelectorAll("figure")];
const imageOf = (figure) => images.get(Number(figure.dataset.index));
const namesUnder = (top) => manifest.images
  .filter((image) => image.stacked_on === top.index).map((image) => image.name);
const searchable = new Map(
  figures.map((figure) => {
    const image = imageOf(figure);
    const words = [image.label, image.name, ...namesUnder(image)];
    return [figure, words.join("\n").toLocaleLowerCase()];
  }),
);

const natural = new Intl.Collator(undefined, { numeric: true });
const orders = {
  sheet: (a, b) => a.page - b.page || a.row - b.row || a.col - b.col,
  name: (a, b) => natural.compare(a.name, b.name),
  label: (a, b) => natural.compare(a.label, b.label),
  // The surest first; what has no confidence comes last.
  confidence: (a, b) => (b.confidence ?? -1) - (a.confidence ?? -1),
};

// An X/Y plot keeps its rows and columns as long as nothing else is asked for.
const plot = manifest.axes ? plotted(manifest.axes) : [];

function plotted({ rows, cols }) {
  const places = [];
  let line = 1;
  for (const { page } of manifest.pages) {
    const there = figures.filter((figure) => imageOf(figure).page === page);
    const height = Math.max(0, ...there.map((figure) => imageOf(figure).row + 1));
    if (cols.column) {
      cols.values.forEach((value, col) => {
        places.push([header("column", cols.column, value), line, col + 2]);
      });
      line += 1;
    }
    for (let row = 0; row < height; row += 1) {
      const here = there.filter((figure) => imageOf(figure).row === row);
      // Only the first page has all the values; on the others a picture tells.
      const value = page === 1 ? rows.values[row] : here.map((f) => known(f, rows.column)).find(Boolean);
      if (rows.column) places.push([header("row", rows.column, value), line + row, 1]);
      for (const figure of here) places.push([figure, line + row, imageOf(figure).col + 2]);
      if (rows.column && cols.column) {
        const taken = new Set(here.map((figure) => imageOf(figure).col));
        for (let col = 0; col < cols.values.length; col += 1) {
          if (!taken.has(col)) places.push([label("gap", "–"), line + row, col + 2]);
        }
      }
    }
    line += height;
  }
  cells.style.setProperty("--columns", manifest.cols);
  return places;
}

// A row of the plot has two of the grid, for its pictures and for their labels.
function gridArea(element, row, column) {
  const rows = element.matches(".row, .gap") ? 1 : 2;
  return `${2 * row - 1} / ${column} / span ${rows}`;
}

function known(figure, column) {
  const entries = Object.entries(imageOf(figure).metadata ?? {});
  return entries.find(([name]) => name.toLowerCase() === column?.toLowerCase())?.[1];
}

function header(kind, column, value) {
  return label(kind, value === undefined || value === `no ${column}` ? value ?? "" : `${column} ${value}`);
}

function label(kind, text) {
  const element = document.createElement("p");
  element.className = `axis ${kind}`;
  element.textContent = text;
  return element;
}

let shown = figures;

function arrange() {
  const isPlot = plot.length > 0 && find("sort").value === "sheet" && !find("search").value.trim();
  cells.classList.toggle("plot", isPlot);
  for (const [element, row, column] of plot) {
    if (element.matches(".axis")) element.hidden = !isPlot;
    element.style.gridArea = isPlot ? gridArea(element, row, column) : "";
  }
  const order = orders[find("sort").value];
  const words = find("search").value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const sorted = [...figures].sort((a, b) => order(imageOf(a), imageOf(b)));
  shown = sorted.filter((figure) => words.every((word) => searchable.get(figure).includes(word)));
  const visible = new Set(shown);
  for (const figure of sorted) figure.hidden = !visible.has(figure);
  cells.append(...(isPlot ? plot.map(([element]) => element) : sorted));
  find("count").value = shown.length === figures.length
    ? `${figures.length} pictures` : `${shown.length} of ${figures.length} pictures`;
}

function zoom(width) {
  find("zoom").value = width;
  document.documentElement.style.setProperty("--cell", `${find("zoom").value}px`);
}

let current = null;

function fact(list, term, value) {
  if (value === null || value === undefined || value === "") return;
  const dt = document.createElement("dt");
  const dd = document.createElement("dd");
  dt.textContent = term;
  dd.textContent = typeof value === "object" ? JSON.stringify(value) : value;
  list.append(dt, dd);
}

function show(figure) {
  const image = imageOf(figure);
  const picture = figure.querySelector("img");
  current = figure;
  find("large").src = picture.src;
  find("large").alt = picture.alt;
  find("name").textContent = image.name;
  find("label").textContent = image.label;
  const facts = find("facts");
  facts.replaceChildren();
  fact(facts, "label from", image.label_source);
  fact(facts, "confidence", image.confidence?.toFixed(2));
  fact(facts, "model", image.model);
  fact(facts, "also shows", namesUnder(image).join(", "));
  for (const [term, value] of Object.entries(image.metadata ?? {})) fact(facts, term, value);
  if (!find("viewer").open) find("viewer").showModal();
}

function turn(step) {
  const to = shown[shown.indexOf(current) + step];
  if (to) show(to);
}

function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

find("search").addEventListener("input", arrange);
find("sort").addEventListener("change", arrange);
find("zoom").addEventListener("input", () => zoom(find("zoom").value));
find("theme").addEventListener("click", switchTheme);
find("close").addEventListener("click", () => find("viewer").close());
find("previous").addEventListener("click", () => turn(-1));
find("next").addEventListener("click", () => turn(1));
find("viewer").addEventListener("close", () => current?.querySelector("button").focus());
cells.addEventListener("click", (event) => {
  const figure = event.target.closest("figure");
  if (figure) show(figure);
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (find("viewer").open) {
    if (event.key === "ArrowLeft") turn(-1);
    else if (event.key === "ArrowRight") turn(1);
    return;
  }
  if (event.target.matches("input, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "/") {
    event.preventDefault();
    find("search").focus();
  } else if (event.key === "+" || event.key === "=") zoom(Number(find("zoom").value) * 1.25);
  else if (event.key === "-") zoom(Number(find("zoom").value) / 1.25);
});

zoom(Number(cells.dataset.cell));
arrange();
