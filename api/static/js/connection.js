// Whether the service answers. While it does not, a line says so on every view.

const line = document.getElementById("away");
let away = false;
const listeners = new Set();

export function reportAway() {
  if (away) return;
  away = true;
  line.textContent = "The service does not answer. This page tries again by itself; nothing you entered is lost.";
  line.hidden = false;
}

export function reportHere() {
  if (!away) return;
  away = false;
  line.hidden = true;
  for (const listener of listeners) listener();
}

/** Calls `listener` when the service answers again, until `signal` is aborted. */
export function onReturn(listener, signal) {
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener));
}

/** While away, look every few seconds whether the service is back. */
export function startProbing() {
  setInterval(async () => {
    if (!away) return;
    try {
      await fetch("healthz", { cache: "no-store" });
      reportHere();
    } catch { /* still away */ }
  }, 2000);
}
