// Numbers, times and names as people read them.

const number = new Intl.NumberFormat();
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const LABEL_SOURCES = {
  csv: "CSV", request: "set by hand", embedded: "the file itself", clip: "CLIP", filename: "file name",
};

export function bytes(count) {
  const units = ["B", "KB", "MB", "GB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toLocaleString(undefined, { maximumFractionDigits: value < 10 && unit ? 1 : 0 })} ${units[unit]}`;
}

export function many(count, one, more = `${one}s`) {
  return `${number.format(count)} ${count === 1 ? one : more}`;
}

export function when(iso) {
  return moment.format(new Date(iso));
}

export function seconds(milliseconds) {
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** 0.834 as `83 %`. */
export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

/** The end of an id: the part that differs between jobs of the same moment. */
export function shortId(id) {
  return id.slice(-8);
}
