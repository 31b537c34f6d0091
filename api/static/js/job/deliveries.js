// What webhooks were told of a job, with every attempt; a message can be sent again.

import { announce } from "../announce.js";
import { getJson, postJson } from "../api.js";
import { el } from "../elements.js";
import { many, when } from "../wording.js";

const STATES = {
  pending: "under way", delivered: "delivered", dead: "given up", stopped: "stopped", superseded: "superseded",
};
const LOOKS = { pending: "running", delivered: "succeeded", dead: "failed", stopped: "canceled", superseded: "canceled" };

/** Stays empty where nobody was told. */
export async function showDeliveries(place, id, signal) {
  let deliveries;
  try {
    ({ data: deliveries } = await getJson(`jobs/${id}/deliveries`, { signal }));
  } catch {
    return; // beside the sheet it is not worth an error
  }
  if (!deliveries.length || signal.aborted) return;
  const trouble = el("p", { class: "error-note", role: "alert", hidden: true });
  const again = async (delivery) => {
    try {
      await postJson(`deliveries/${delivery.id}/redeliver`);
      announce("The message is sent again");
      await showDeliveries(place, id, signal);
    } catch (error) {
      trouble.hidden = false;
      trouble.textContent = error.message;
    }
  };
  place.replaceChildren(el("section", { class: "panel", "aria-labelledby": "deliveries-title" },
    el("h2", { id: "deliveries-title" }, "Webhook deliveries"), trouble,
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Webhook deliveries" }, el("table", { class: "deliveries" },
      el("thead", {}, el("tr", {}, ["Event", "To", "State", "Attempts", "Time", ""].map((text) => el("th", { scope: "col" }, text || el("span", { class: "unseen" }, "Actions"))))),
      el("tbody", {}, deliveries.map((delivery) => row(delivery, again)))))));
}

function row(delivery, again) {
  const { attempts, state } = delivery;
  const last = attempts.at(-1);
  const why = delivery.reason ?? last?.error;
  return el("tr", {},
    el("td", {}, delivery.type),
    el("td", { class: "receiver" }, delivery.url),
    el("td", {}, el("span", { class: `pill ${LOOKS[state]}` }, STATES[state] ?? state), why ? el("p", { class: "hint" }, why) : null),
    el("td", {}, many(attempts.length, "attempt"), last?.status ? `, last ${last.status}` : ""),
    el("td", {}, when(delivery.created_at), delivery.next_attempt_at ? el("p", { class: "hint" }, `next ${when(delivery.next_attempt_at)}`) : null),
    el("td", {}, el("button", { type: "button", class: "small", "aria-label": `Send ${delivery.type} again`, onclick: () => again(delivery) }, "Send again")));
}
