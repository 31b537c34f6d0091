// The frame: which view an address shows, the key, the theme.

import { getKey, onKeyChange } from "./api_key.js";
import { startProbing } from "./connection.js";
import { showJob } from "./job/view.js";
import { askForKey } from "./key_dialog.js";
import { showList } from "./list/view.js";
import { showNew } from "./new/view.js";
import { startTheme } from "./theme.js";

const main = document.getElementById("view");
let leaving = new AbortController();
let isFirst = true;

function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/");
  if (name === "jobs" && id) return { name: "jobs", show: (signal) => showJob(main, decodeURIComponent(id), signal) };
  if (name === "jobs") return { name, show: (signal) => showList(main, new URLSearchParams(query), signal) };
  return { name: "new", show: (signal) => showNew(main, signal) };
}

function go() {
  if (location.hash === "#view") return; // the skip link
  leaving.abort();
  leaving = new AbortController();
  const { name, show } = route();
  for (const link of document.querySelectorAll("[data-route]")) {
    if (link.dataset.route === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  show(leaving.signal);
  if (isFirst) isFirst = false;
  else {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
}

function nameKeyButton(button) {
  button.textContent = getKey() === null ? "API key" : "API key ✓";
}

const keyButton = document.getElementById("key-button");
keyButton.addEventListener("click", () => askForKey(null));
onKeyChange(() => nameKeyButton(keyButton));
nameKeyButton(keyButton);
startTheme(document.getElementById("theme-button"));
startProbing();
addEventListener("hashchange", go);
// A drop beside the drop zone must not lead away from the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
go();
