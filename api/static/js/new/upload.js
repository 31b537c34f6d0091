// Sending a job: XMLHttpRequest, because fetch does not tell how much of a body is sent.

import { problemOf, ROOT, Unreachable } from "../api.js";
import { authorization } from "../api_key.js";
import { reportAway } from "../connection.js";

/**
 * `{done, abort}`: `done` is the job, or throws Problem, Unreachable or AbortError. `onProgress` gets the share sent.
 * The same key with the same payload never makes a second job, however often it is sent.
 */
export function sendJob({ spec, items, csv }, idempotencyKey, onProgress) {
  const body = new FormData();
  body.append("spec", JSON.stringify(spec));
  if (csv) body.append("csv", csv.file, csv.file.name);
  for (const { file } of items) body.append("images", file, file.name);
  const call = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    call.upload.addEventListener("progress", (event) => { if (event.lengthComputable) onProgress(event.loaded / event.total); });
    call.addEventListener("load", () => {
      if (call.status >= 200 && call.status < 300) resolve(JSON.parse(call.responseText));
      else reject(problemOf(call.responseText, call.status, call.getResponseHeader("Retry-After")));
    });
    call.addEventListener("error", () => {
      reportAway();
      reject(new Unreachable());
    });
    call.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
  });
  call.open("POST", new URL("jobs", ROOT));
  for (const [name, value] of Object.entries({ ...authorization(), "Idempotency-Key": idempotencyKey })) call.setRequestHeader(name, value);
  call.send(body);
  return { done, abort: () => call.abort() };
}
