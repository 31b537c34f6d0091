// "Copy as": the job on screen as a command.

import { announce } from "./announce.js";
import { getKey } from "./api_key.js";
import { openDialog } from "./dialogs.js";
import { el, newId } from "./elements.js";
import { cliCommand, curlCommand, pythonProgram } from "./snippets.js";

/** `job` is `{spec, names, csv}`; `hasCorrections` where labels of it are nowhere but in the service. */
export function openSnippets(job) {
  const base = new URL(".", document.baseURI).href;
  const keyed = getKey() !== null;
  openDialog("Copy as", () => [
    el("p", { class: "hint" }, "Run it in the folder that holds the pictures.",
      job.csv === "labels.csv" ? " The CSV is taken for labels.csv." : "",
      job.hasCorrections ? " Labels that were set by hand are not in it." : "",
      keyed ? " The key is not in it: put it into GRIDSCRIBE_API_KEY." : ""),
    ...[["curl", curlCommand(job, base, keyed)], ["Python", pythonProgram(job, base, keyed)], ["Command line", cliCommand(job, base)]].map(([name, text]) => snippet(name, text)),
  ], { class: "wide" });
}

function snippet(name, text) {
  const heading = newId();
  const button = el("button", { type: "button", class: "small", onclick: async () => {
    await copy(text);
    button.textContent = "Copied";
    announce(`${name} copied`);
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }, "aria-label": `Copy ${name}` }, "Copy");
  return el("section", { class: "snippet", "aria-labelledby": heading },
    el("div", { class: "row" }, el("h3", { id: heading }, name), button),
    el("pre", { tabindex: "0", "data-snippet": name }, el("code", {}, text)));
}

async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Without TLS browsers give no clipboard but this one.
  const area = el("textarea", { class: "unseen", value: text });
  document.querySelector("dialog[open]").append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
