// The caller's jobs, newest first, by status, page by page.

import { getJson } from "../api.js";
import { onKeyChange } from "../api_key.js";
import { onReturn } from "../connection.js";
import { el } from "../elements.js";
import { actionButtons, statusPill } from "../job_actions.js";
import { isOver } from "../job_events.js";
import { many, shortId, when } from "../wording.js";

const FILTERS = [["", "All"], ["queued", "Queued"], ["running", "Running"], ["succeeded", "Done"], ["failed", "Failed"], ["canceled", "Canceled"]];
const PAGE = 20;
const LOOK_AGAIN = 2000;

export function showList(main, query, signal) {
  document.title = "Jobs · Gridscribe";
  const list = new JobList(query.get("status") ?? "", signal);
  main.replaceChildren(list.element);
  list.start();
}

class JobList {
  #jobs = new Map();
  #cursor = null;

  constructor(status, signal) {
    this.status = status;
    this.signal = signal;
    this.rows = el("tbody", {});
    this.table = el("table", { class: "jobs", hidden: true },
      el("thead", {}, el("tr", {}, ["Job", "Status", "Made", "Pictures", "Sheet", "Actions"].map((text) => el("th", { scope: "col" }, text)))), this.rows);
    this.empty = el("div", { class: "panel empty", hidden: true });
    this.trouble = el("div", { class: "notice bad", role: "alert", hidden: true });
    this.more = el("button", { type: "button", hidden: true, onclick: () => this.#load() }, "Older jobs");
    this.element = el("section", { class: "list" },
      el("h1", { tabindex: "-1" }, "Jobs"),
      el("nav", { class: "filters", "aria-label": "Status" }, FILTERS.map(([value, text]) => el("a", {
        href: value ? `#/jobs?status=${value}` : "#/jobs", "aria-current": value === status ? "true" : null,
      }, text))),
      this.trouble, this.table, this.empty, this.more);
  }

  start() {
    this.#load();
    onReturn(() => this.#restart(), this.signal);
    onKeyChange(() => { if (!this.signal.aborted) this.#restart(); });
    const timer = setInterval(() => this.#refresh(), LOOK_AGAIN);
    this.signal.addEventListener("abort", () => clearInterval(timer));
  }

  #restart() {
    this.#jobs.clear();
    this.#cursor = null;
    this.rows.replaceChildren();
    this.#load();
  }

  async #load() {
    const query = new URLSearchParams({ limit: PAGE, ...(this.status && { status: this.status }), ...(this.#cursor && { cursor: this.#cursor }) });
    this.more.disabled = true;
    try {
      const page = await getJson(`jobs?${query}`, { signal: this.signal });
      this.trouble.hidden = true;
      this.#cursor = page.next_cursor;
      for (const job of page.data) this.#put(job);
      this.more.hidden = this.#cursor === null;
      this.#showEmpty();
    } catch (error) {
      if (this.signal.aborted) return;
      this.trouble.hidden = false;
      this.trouble.textContent = error.message;
    } finally {
      this.more.disabled = false;
    }
  }

  /** Jobs that are not over are asked for anew, those in sight alone. */
  async #refresh() {
    if (document.hidden) return;
    for (const [id, { job }] of this.#jobs) {
      if (isOver(job.status)) continue;
      try {
        this.#put(await getJson(`jobs/${id}`, { signal: this.signal }));
      } catch {
        return; // the frame says that the service is away; a job that is gone goes with the next look
      }
    }
  }

  #put(job) {
    const earlier = this.#jobs.get(job.id);
    if (earlier && JSON.stringify(earlier.job.progress) + earlier.job.status === JSON.stringify(job.progress) + job.status) return;
    const row = this.#row(job);
    if (earlier) earlier.row.replaceWith(row);
    else this.rows.append(row);
    this.#jobs.set(job.id, { job, row });
  }

  #row(job) {
    const { progress, result } = job;
    const running = !isOver(job.status) && progress.stage !== "waiting";
    return el("tr", {},
      el("th", { scope: "row" }, el("a", { href: `#/jobs/${job.id}` }, shortId(job.id))),
      el("td", {}, statusPill(job.status), running ? el("span", { class: "hint" }, ` ${progress.stage} ${progress.done}/${progress.total}`) : null),
      el("td", { "data-head": "Made" }, when(job.created_at)),
      el("td", { "data-head": "Pictures", class: "number" }, String(progress.total)),
      el("td", { "data-head": "Sheet" }, result ? `${result.width} × ${result.height}${result.pages > 1 ? `, ${many(result.pages, "page")}` : ""}` : job.error ? job.error.title : "–"),
      el("td", { class: "row tight" }, ...actionButtons(job, {
        small: true,
        onDone: (after) => { if (after) this.#put(after); else this.#remove(job.id); },
        onError: (error) => { this.trouble.hidden = false; this.trouble.textContent = error.message; },
      })));
  }

  #remove(id) {
    this.#jobs.get(id)?.row.remove();
    this.#jobs.delete(id);
    this.#showEmpty();
    this.element.querySelector("h1").focus();
  }

  #showEmpty() {
    const isEmpty = this.#jobs.size === 0;
    this.table.hidden = isEmpty;
    this.empty.hidden = !isEmpty;
    this.empty.replaceChildren(
      el("p", {}, this.status ? "No job has this status." : "There are no jobs yet."),
      this.status ? el("a", { href: "#/jobs" }, "See all jobs") : el("a", { class: "button primary", href: "#/new" }, "Make a sheet"));
  }
}
