// Problems beside the parts that they name.

import { el, newId } from "../elements.js";

/** Take errors away again: those that came from `origin`, such as the preview. */
export function clearErrors(form, origin) {
  for (const note of form.querySelectorAll(`.error-note[data-origin="${origin}"]`)) {
    for (const control of form.querySelectorAll(`[aria-errormessage="${note.id}"]`)) {
      control.removeAttribute("aria-invalid");
      control.removeAttribute("aria-errormessage");
    }
    note.remove();
  }
}

/** Show each error of `problem` at its part; returns those that have none here. */
export function showErrors(form, problem, origin) {
  return problem.errors.filter(({ location, detail }) => {
    const part = partOf(form, location);
    if (!part) return true;
    const id = newId();
    part.append(el("p", { class: "error-note", id, "data-origin": origin }, detail));
    const control = part.querySelector("input:not(.unseen), select, textarea");
    control?.setAttribute("aria-invalid", "true");
    control?.setAttribute("aria-errormessage", id);
    openAround(part);
    return false;
  });
}

/** The most exact part there is: `spec.axes.rows_by`, else `spec.axes`. */
function partOf(form, location) {
  for (let path = location; path; path = path.replace(/(\.[^.[]+|\[\d+\]|^[^.[]+)$/, "")) {
    const part = form.querySelector(`[data-location="${CSS.escape(path)}"]`);
    if (part) return part;
    if (path === "spec") return null;
  }
  return null;
}

function openAround(part) {
  for (let at = part.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
}

/** Put the focus on the first part that is wrong. */
export function focusFirstError(form) {
  const part = form.querySelector(".error-note")?.parentElement;
  const control = part?.querySelector("input:not(.unseen), select, textarea, button");
  control?.focus();
  part?.scrollIntoView({ block: "center" });
}
