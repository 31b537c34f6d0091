// What of a job's spec is the caller's doing: the service shows every field, with its default.

const DEFAULTS = {
  cell_size: [256, 256], margin: 10, font_size: 16, background: "#ffffff", format: "png", quality: 90, resize_mode: "fit",
  label_position: "band", overflow: "pages", labels: [], use_clip: false, prompt_templates: [], stack_duplicates: false,
  priority: "normal", metadata: {},
};

/** The same sheet, said with as little as possible; the template is in the fields already. */
export function ownSpec(spec) {
  const own = {};
  for (const [name, value] of Object.entries(withoutNulls(spec))) {
    if (name === "template" || isEmpty(value)) continue;
    if (JSON.stringify(value) !== JSON.stringify(DEFAULTS[name])) own[name] = value;
  }
  return own;
}

function withoutNulls(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== null).map(([name, inner]) => [name, withoutNulls(inner)]));
}

function isEmpty(value) {
  return typeof value === "object" && Object.keys(value).length === 0;
}
