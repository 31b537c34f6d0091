// Requests to the service: with the key, refusals as Problem, outages as Unreachable.

import { authorization, getKey } from "./api_key.js";
import { reportAway, reportHere } from "./connection.js";
import { askForKey } from "./key_dialog.js";

/** Relative to the page, so that the service may live below any path. */
export const ROOT = new URL("v1/", document.baseURI);

/** The service refused: RFC 9457. `errors` names the parts, as in `spec.rows`. */
export class Problem extends Error {
  constructor(body, retryAfter) {
    super(body.detail ?? body.title ?? "the service refused without saying why");
    this.code = body.code ?? "unknown";
    this.status = body.status ?? 0;
    this.errors = body.errors ?? [];
    this.requestId = body.request_id ?? null;
    this.retryAfter = Number(retryAfter) || null;
  }
}

/** No answer came. */
export class Unreachable extends Error {
  constructor() {
    super("The service does not answer. Try again in a moment.");
  }
}

export function problemOf(text, status, retryAfter) {
  try {
    return new Problem(JSON.parse(text), retryAfter);
  } catch {
    return new Problem({ status, detail: `The service answered ${status}, and not in its own words: a proxy may stand between.` });
  }
}

/** The answer, where it is one of success; asks for a key where one is wanted. `path` is below /v1/. */
export async function request(path, { method = "GET", json, headers = {}, signal } = {}) {
  for (;;) {
    const key = getKey();
    const response = await send(path, {
      method,
      signal,
      headers: {
        ...authorization(),
        ...(json === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body: json === undefined ? undefined : JSON.stringify(json),
    });
    if (response.ok) return response;
    const problem = problemOf(await response.text(), response.status, response.headers.get("Retry-After"));
    if (response.status === 401 && getKey() !== key) continue; // handed in meanwhile
    if (response.status !== 401 || !(await askForKey(problem.message))) throw problem;
  }
}

export async function getJson(path, options) {
  return (await request(path, options)).json();
}

export async function postJson(path, json, headers) {
  return (await request(path, { method: "POST", json, headers })).json();
}

async function send(path, options) {
  try {
    const response = await fetch(new URL(path, ROOT), options);
    reportHere();
    return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    reportAway();
    throw new Unreachable();
  }
}

/** For `Idempotency-Key`: 128 random bits. `crypto.randomUUID` is missing where the page came without TLS. */
export function newIdempotencyKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
