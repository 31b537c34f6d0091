// A job as it changes, over broken connections and restarts of the service.

import { getJson, request, Unreachable } from "./api.js";
import { readEvents } from "./event_lines.js";

const FIRST_PAUSE = 1000;
const over = new Set(["succeeded", "failed", "canceled", "expired"]);

export function isOver(status) {
  return over.has(status);
}

/**
 * Yields `{job}`, the whole job, first and at its end; `{progress}` between; `{connected}` when that changes.
 * Ends with the job. Throws the Problem of a job that is gone.
 */
export async function* followJob(id, signal) {
  let last = null;
  let pause = FIRST_PAUSE;
  let connected = false;
  while (!signal.aborted) {
    try {
      const headers = last === null ? {} : { "Last-Event-ID": last };
      const response = await request(`jobs/${id}/events`, { headers, signal });
      if (response.status === 204) {
        yield { job: await getJson(`jobs/${id}`, { signal }) };
        return;
      }
      for await (const event of readEvents(response.body)) {
        if (!connected) yield { connected: connected = true };
        if (event.retry) {
          pause = event.retry;
          continue;
        }
        last = event.id ?? last;
        const data = JSON.parse(event.data);
        yield event.event === "job" ? { job: data } : { progress: data };
        if (event.event === "job" && isOver(data.status)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      // Cut off, restarting or overloaded: none of it says that the job is gone.
      const passing = error instanceof Unreachable || error instanceof TypeError || error.status >= 500 || error.status === 429;
      if (!passing) throw error;
      pause = Math.max(pause, (error.retryAfter ?? 0) * 1000);
    }
    if (connected) yield { connected: connected = false };
    await new Promise((resolve) => { setTimeout(resolve, pause); });
  }
}
