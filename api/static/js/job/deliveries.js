// What webhooks were told of a job, where the service keeps such a log.

import { getJson } from "../api.js";
import { el } from "../elements.js";
import { when } from "../wording.js";

/** Stays empty where there are none, or no such log. */
export async function showDeliveries(place, id, signal) {
  let deliveries;
  try {
    ({ data: deliveries } = await getJson(`jobs/${id}/deliveries`, { signal }));
  } catch {
    return; // beside the sheet it is not worth an error
  }
  if (!deliveries?.length || signal.aborted) return;
  place.replaceChildren(el("section", { class: "panel", "aria-labelledby": "deliveries-title" },
    el("h2", { id: "deliveries-title" }, "Webhook deliveries"),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Webhook deliveries" }, el("table", {},
      el("thead", {}, el("tr", {}, ["Event", "To", "Status", "Attempts", "Time"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, deliveries.map((delivery) => el("tr", {},
        el("td", {}, delivery.type ?? delivery.event ?? ""),
        el("td", {}, delivery.url ?? ""),
        el("td", {}, delivery.status ?? "", delivery.error ? ` (${delivery.error})` : ""),
        el("td", {}, String(delivery.attempts?.length ?? delivery.attempts ?? "")),
        el("td", {}, delivery.created_at ? when(delivery.created_at) : ""))))))));
}
