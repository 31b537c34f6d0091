// A job as commands: curl, Python and the command line.

/** Quote for a POSIX shell: only what needs it. */
export function shellWord(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A value of curl's -F: a name in double quotes, for commas and semicolons mean something else there. */
function formFile(name) {
  return /[",;\\]/.test(name) ? `"${name.replace(/[\\"]/g, "\\$&")}"` : name;
}

/** A name that no program takes for an option. */
function path(name) {
  return name.startsWith("-") ? `./${name}` : name;
}

/** `{spec, names, csv}` and the service's address; `keyed` where it wants a key. To be run where the files lie. */
export function curlCommand({ spec, names, csv }, base, keyed) {
  const lines = [`curl -sS ${shellWord(`${base}v1/jobs`)}`];
  if (keyed) lines.push('-H "Authorization: Bearer $GRIDSCRIBE_API_KEY"');
  if (Object.keys(spec).length) lines.push(`--form-string ${shellWord(`spec=${JSON.stringify(spec)}`)}`);
  if (csv) lines.push(`-F ${shellWord(`csv=@${formFile(csv)}`)}`);
  for (const name of names) lines.push(`-F ${shellWord(`images=@${formFile(name)}`)}`);
  return lines.join(" \\\n  ");
}

export function pythonProgram({ spec, names, csv }, base, keyed) {
  const asked = Object.keys(spec).length ? `, ${python(spec)}` : "";
  return [
    ...(keyed ? ["import os"] : []),
    "from pathlib import Path", "",
    "from gridscribe import Client", "",
    `images = [Path(name) for name in ${list(names.map(python))}]`,
    `with Client(${python(base.replace(/\/$/, ""))}${keyed ? ', api_key=os.environ["GRIDSCRIBE_API_KEY"]' : ""}) as client:`,
    `    job = client.jobs.create(images${asked}${csv ? `, csv=Path(${python(csv)})` : ""})`,
    "    job = client.jobs.wait(job.id)",
    `    client.jobs.download(job.id, Path("sheet.${spec.format ?? "png"}"))`,
  ].join("\n");
}

/** A value of JSON as Python writes it. */
function python(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([name, inner]) => `${python(name)}: ${python(inner)}`).join(", ")}}`;
  return JSON.stringify(value); // of texts and numbers Python's own spelling
}

function list(words) {
  const line = `[${words.join(", ")}]`;
  return line.length < 60 ? line : `[\n${words.map((word) => `    ${word},`).join("\n")}\n]`;
}

const FLAGS = new Set(["use_clip", "stack_duplicates"]);

export function cliCommand({ spec, names, csv }, base) {
  const words = ["gridscribe submit", ...names.map((name) => shellWord(path(name)))];
  const option = (name, ...values) => words.push([`--${name.replaceAll("_", "-")}`, ...values.map((value) => shellWord(String(value)))].join(" "));
  if (csv) option("csv", csv);
  for (const [name, value] of Object.entries(spec)) {
    if (name === "format" || value === null) continue; // by the name of the output
    if (FLAGS.has(name)) { if (value) option(name); } else if (name === "labels") option("labels", value.join(","));
    else if (name === "candidates") for (const text of value) option("candidates", text);
    else if (name === "cell_size") option(name, ...value);
    else if (name === "axes" && value === "auto") option("auto-axes");
    else if (name === "axes") for (const [axis, column] of Object.entries(value)) option(axis, column);
    else if (typeof value !== "object") option(name, value);
  }
  option("server", base.replace(/\/$/, ""));
  words.push(`-o sheet.${spec.format ?? "png"}`);
  return words.join(words.length > 6 ? " \\\n  " : " ");
}
