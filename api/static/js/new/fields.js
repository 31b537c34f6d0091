// Form fields that know which part of a spec they are, and say what is wrong with it.

import { el, newId } from "../elements.js";

/** A labelled control. `location` is its part of the request as problems name it, such as `spec.rows`. */
export function field(label, control, { location, hint } = {}) {
  const id = newId();
  control.id = id;
  const hintId = hint ? newId() : null;
  if (hintId) control.setAttribute("aria-describedby", hintId);
  return el("div", { class: "field", "data-location": location },
    el("label", { for: id }, label), control, hint ? el("p", { id: hintId, class: "hint" }, hint) : null);
}

/** A group of controls that are one part of the spec together. */
export function group(legend, controls, { location } = {}) {
  return el("fieldset", { class: "field", "data-location": location },
    el("legend", {}, legend), el("div", { class: "row tight" }, controls));
}

export function numberInput(props) {
  return el("input", { type: "number", inputmode: "numeric", ...props });
}

/** A choice whose first entry leaves the decision open; `open` is what stands there. */
export function select(open, choices, props = {}) {
  return el("select", props,
    open === null ? null : el("option", { value: "" }, open),
    choices.map(([value, text]) => el("option", { value }, text ?? value)));
}

export function check(label, props = {}) {
  const box = el("input", { type: "checkbox", ...props });
  return { box, element: el("label", { class: "check" }, box, label) };
}
