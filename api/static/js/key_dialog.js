// Where a user hands in an API key.

import { forgetKey, getKey, isRemembered, keepKey } from "./api_key.js";
import { openDialog } from "./dialogs.js";
import { el, newId } from "./elements.js";

let asking = null;

/** Ask for a key; true once there is one, false where the user closes the dialog. Asked twice at once, shown once. */
export function askForKey(reason) {
  asking ??= ask(reason).finally(() => { asking = null; });
  return asking;
}

function ask(reason) {
  return new Promise((resolve) => {
    let given = false;
    const dialog = openDialog("API key", (self) => content(self, reason, () => { given = true; }), { class: "narrow" });
    dialog.addEventListener("close", () => resolve(given));
  });
}

function content(dialog, reason, onGiven) {
  const [field, hint] = [newId(), newId()];
  const input = el("input", {
    id: field, type: "password", autocomplete: "off", spellcheck: "false", required: true,
    autofocus: true, "aria-describedby": hint,
  });
  const remember = el("input", { type: "checkbox", checked: isRemembered() });
  const form = el("form", {
    method: "dialog",
    onsubmit: () => {
      keepKey(input.value.trim(), remember.checked);
      onGiven();
    },
  },
  reason ? el("p", { class: "notice", role: "alert" }, reason) : null,
  el("label", { for: field }, "Key"),
  input,
  el("p", { id: hint, class: "hint" },
    "It is kept in this tab and forgotten when you close it. Operators make keys with ",
    el("code", {}, "gridscribe keys create"), "."),
  el("label", { class: "check" }, remember, "Remember it in this browser; whoever uses the browser can use it"),
  el("div", { class: "dialog-buttons" },
    getKey() === null ? null : el("button", {
      type: "button", onclick: () => { forgetKey(); dialog.close(); },
    }, "Forget the key"),
    el("button", { class: "primary" }, "Use this key")));
  return [form];
}
