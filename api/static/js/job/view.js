// One job: followed while it runs, then its sheet with everything that is known of it.

import { announce } from "../announce.js";
import { getJson, Unreachable } from "../api.js";
import { onReturn } from "../connection.js";
import { el } from "../elements.js";
import { actionButtons, statusPill } from "../job_actions.js";
import { followJob, isOver } from "../job_events.js";
import { ownSpec } from "../own_spec.js";
import { openSnippets } from "../snippet_dialog.js";
import { many, seconds, shortId, when } from "../wording.js";
import { showDeliveries } from "./deliveries.js";
import { JobProgress } from "./progress.js";
import { SheetPart } from "./sheet_part.js";

export function showJob(main, id, signal) {
  document.title = `Job ${shortId(id)} · Gridscribe`;
  const view = new JobView(id, signal);
  main.replaceChildren(view.element);
  view.follow();
}

class JobView {
  #job = null;
  #sheetOf = null;

  constructor(id, signal) {
    this.id = id;
    this.signal = signal;
    this.facts = el("p", { class: "hint" });
    this.title = el("div", { class: "row" });
    this.actions = el("div", { class: "row" });
    this.trouble = el("div", { class: "notice bad", role: "alert", hidden: true });
    this.progress = new JobProgress();
    this.sheet = el("div", {});
    this.warnings = el("div", {});
    this.deliveries = el("div", {});
    this.element = el("article", { class: "job" },
      el("div", { class: "job-head" }, el("div", {}, this.title, this.facts), this.actions),
      this.trouble, this.progress.element, this.sheet, this.warnings, this.deliveries);
    this.title.append(el("h1", {}, `Job ${shortId(id)}`));
  }

  async follow() {
    try {
      for await (const news of followJob(this.id, this.signal)) {
        if (this.signal.aborted) return;
        if (news.connected !== undefined) this.progress.showConnection(news.connected);
        if (news.progress) this.#show({ ...this.#job, ...news.progress });
        if (news.job) this.#show(news.job);
      }
    } catch (error) {
      if (!this.signal.aborted) this.#explain(error);
    }
  }

  #explain(error) {
    this.trouble.hidden = false;
    this.trouble.textContent = error.message;
    if (error instanceof Unreachable) return;
    this.progress.element.hidden = true;
    if (error.status === 404 || error.status === 410) this.trouble.append(" ", el("a", { href: "#/jobs" }, "See the jobs there are"));
  }

  #show(job) {
    const before = this.#job?.status;
    this.#job = job;
    this.trouble.hidden = true;
    this.title.replaceChildren(el("h1", {}, `Job ${shortId(job.id)}`), statusPill(job.status));
    this.facts.replaceChildren(...factsOf(job));
    this.progress.show(job);
    if (before !== job.status) {
      this.#showActions(job);
      if (before) announce(`The job is ${job.status}`);
    }
    if (job.error) {
      this.trouble.hidden = false;
      this.trouble.textContent = job.error.detail;
    }
    this.#showWarnings(job.warnings ?? []);
    if (isOver(job.status)) showDeliveries(this.deliveries, job.id, this.signal);
    if (job.status === "succeeded" && this.#sheetOf !== job.finished_at) {
      this.#sheetOf = job.finished_at;
      this.#showSheet(job);
    } else if (job.status !== "succeeded") this.sheet.replaceChildren();
  }

  #showActions(job) {
    const copyable = job.images?.length > 0;
    this.actions.replaceChildren(
      ...(copyable ? [el("button", { type: "button", onclick: () => openSnippets(commandOf(this.#job)) }, "Copy as…")] : []),
      ...actionButtons(job, {
        onDone: (after) => {
          if (after === null) location.hash = "#/jobs";
          else {
            const wasOver = isOver(this.#job.status);
            this.#show(after);
            if (wasOver) this.follow();
          }
        },
        onError: (error) => this.#explain(error),
      }));
  }

  async #showSheet(job) {
    try {
      const manifest = await getJson(`jobs/${job.id}/manifest`, { signal: this.signal });
      const part = new SheetPart(job, manifest, this.signal);
      this.sheet.replaceChildren(part.element);
      part.start();
    } catch (error) {
      if (this.signal.aborted) return;
      this.#explain(error);
      onReturn(() => this.#showSheet(job), this.signal);
    }
  }

  #showWarnings(warnings) {
    if (!warnings.length) {
      this.warnings.replaceChildren();
      return;
    }
    this.warnings.replaceChildren(el("details", { class: "panel", open: warnings.length <= 3 },
      el("summary", {}, el("h2", {}, many(warnings.length, "warning"))),
      el("ul", { class: "warnings" }, warnings.map(({ code, detail }) => el("li", {}, detail, " ", el("code", {}, code))))));
  }
}

function factsOf(job) {
  const { metrics, result } = job;
  const facts = [`made ${when(job.created_at)}`];
  if (result) facts.push(many(result.pages, "page"), `${result.width} × ${result.height} pixels`);
  if (metrics?.caption_ms) facts.push(`captioned in ${seconds(metrics.caption_ms)}`);
  if (metrics?.compose_ms) facts.push(`composed in ${seconds(metrics.compose_ms)}`);
  if (job.expires_at) facts.push(`kept until ${when(job.expires_at)}`);
  return [facts.join(" · ")];
}

function commandOf(job) {
  return {
    spec: ownSpec(job.spec),
    names: job.images.map(({ name }) => name),
    hasCorrections: job.images.some(({ label_source: source }) => source === "request"),
    csv: job.images.some(({ label_source: source }) => source === "csv") ? "labels.csv" : null,
  };
}
