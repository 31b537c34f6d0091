// Modal dialogs: one shape, closed by Escape, focus given back by the browser.

import { el, newId } from "./elements.js";

/** Show a dialog and return it; it is removed once it is closed. `build` gets the dialog and gives its children. */
export function openDialog(title, build, options = {}) {
  const heading = newId();
  const dialog = el("dialog", { "aria-labelledby": heading, class: options.class ?? null });
  dialog.append(
    el("div", { class: "dialog-head" },
      el("h2", { id: heading }, title),
      el("button", { type: "button", class: "quiet icon close", "aria-label": "Close", onclick: () => dialog.close() })),
    ...build(dialog),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Whether the user says yes; `verb` stands on the button. */
export function confirmed(title, text, verb) {
  return new Promise((resolve) => {
    let answer = false;
    const dialog = openDialog(title, (self) => [
      el("p", {}, text),
      el("div", { class: "dialog-buttons" },
        el("button", { type: "button", onclick: () => self.close() }, "Keep it"),
        el("button", { type: "button", class: "danger", onclick: () => { answer = true; self.close(); } }, verb)),
    ]);
    dialog.addEventListener("close", () => resolve(answer));
  });
}
