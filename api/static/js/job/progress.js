// How far a job is: its stages in a row, the present one with its bar.

import { el } from "../elements.js";
import { isOver } from "../job_events.js";

const STAGES = [["waiting", "Waiting"], ["captioning", "Captioning"], ["composing", "Composing"]];

export class JobProgress {
  constructor() {
    this.stages = el("ol", { class: "stages" });
    this.bar = el("progress", { max: "1", "aria-label": "Progress of this stage" });
    this.words = el("p", { role: "status" });
    this.line = el("span", { class: "connection" }, "connecting");
    this.element = el("section", { class: "panel progress", "aria-label": "Progress" },
      this.stages, this.bar, el("div", { class: "row spread" }, this.words, this.line));
  }

  showConnection(connected) {
    this.line.textContent = connected ? "live" : "connection lost, trying again";
    this.line.classList.toggle("lost", !connected);
  }

  show(job) {
    this.element.hidden = isOver(job.status);
    if (this.element.hidden) return;
    const { stage, done, total } = job.progress;
    const at = STAGES.findIndex(([name]) => name === stage);
    this.stages.replaceChildren(...STAGES.map(([name, text], index) => el("li", {
      class: index < at ? "past" : name === stage ? "present" : null,
      "aria-current": name === stage ? "step" : null,
    }, text)));
    this.bar.max = total || 1;
    if (stage === "waiting") this.bar.removeAttribute("value");
    else this.bar.value = done;
    this.words.textContent = wordsOf(job, stage, done, total);
  }
}

function wordsOf(job, stage, done, total) {
  if (job.status === "canceling") return "Canceling: it stops at its next step";
  if (stage === "waiting") {
    const place = job.queue_position;
    return place > 1 ? `Number ${place} in the queue` : "Next in the queue";
  }
  return `${done} of ${total} pictures`;
}
