// Files out of a drop, a paste or a file input; folders are walked.

/** Every file of a drop or paste, with its path below the folder that was dropped. */
export async function filesOf(transfer) {
  // Entries have to be taken before the first pause: then the transfer is emptied.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  return (await Promise.all(entries.map(walk))).flat();
}

async function walk(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => { entry.file(resolve, reject); })];
  const reader = entry.createReader();
  const found = [];
  for (;;) { // a reader hands out a hundred at a time
    const batch = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!batch.length) break;
    found.push(...batch);
  }
  found.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  return (await Promise.all(found.map(walk))).flat();
}

const IMAGE = /\.(png|jpe?g|webp|gif|bmp|tiff?|avif|heic|ico|jp2|tga|ppm|pgm|pbm)$/i;

/** What a file is to a job: "image", "zip", "csv", or null for what has no place in one. */
export function kindOf(name, type = "") {
  if (/\.zip$/i.test(name) || type === "application/zip") return "zip";
  if (/\.(csv|tsv)$/i.test(name) || type === "text/csv") return "csv";
  return IMAGE.test(name) || type.startsWith("image/") ? "image" : null;
}
