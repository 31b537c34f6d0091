// What can be done to a job: cancel, retry, delete. Both views offer it.

import { announce } from "./announce.js";
import { postJson, request } from "./api.js";
import { confirmed } from "./dialogs.js";
import { el } from "./elements.js";
import { shortId } from "./wording.js";

const CANCELABLE = new Set(["queued", "running"]);
const RETRYABLE = new Set(["failed", "canceled"]);

/** The buttons that suit the status. `onDone` gets the job afterwards, null where it is gone; `onError` an error. */
export function actionButtons(job, { onDone, onError, small = false }) {
  const button = (text, props, act) => el("button", {
    type: "button", ...props, class: [props.class, small && "small"].filter(Boolean).join(" ") || null, "aria-label": small ? `${text} job ${shortId(job.id)}` : null,
    onclick: async (event) => {
      const pressed = event.currentTarget;
      pressed.disabled = true;
      try {
        await act();
      } catch (error) {
        onError(error);
      } finally {
        pressed.disabled = false;
      }
    },
  }, text);
  return [
    CANCELABLE.has(job.status) && button("Cancel", {}, async () => {
      onDone(await postJson(`jobs/${job.id}/cancel`));
      announce("The job is being canceled");
    }),
    RETRYABLE.has(job.status) && button("Retry", {}, async () => {
      onDone(await postJson(`jobs/${job.id}/retry`));
      announce("The job is queued again");
    }),
    button("Delete", { class: "quiet-danger" }, async () => {
      const sure = await confirmed("Delete this job?", "Its pictures, its sheet and its record go for good. What runs is canceled first.", "Delete it");
      if (!sure) return;
      await request(`jobs/${job.id}`, { method: "DELETE" });
      announce("The job is deleted");
      onDone(null);
    }),
  ].filter(Boolean);
}

const WORDS = {
  queued: "queued", running: "running", canceling: "canceling", succeeded: "done", failed: "failed", canceled: "canceled", expired: "expired",
};

export function statusPill(status) {
  return el("span", { class: `pill ${status}` }, WORDS[status] ?? status);
}
