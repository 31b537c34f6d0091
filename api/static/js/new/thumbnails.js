// Small pictures of large ones, one after the other, so that a thousand do not fill the memory.

const SIDE = 256;

let queue = Promise.resolve();

/** The address of a small copy, or null for what this browser cannot show. */
export function thumbnail(file) {
  queue = queue.then(() => make(file)).catch(() => null);
  return queue;
}

async function make(file) {
  const bitmap = await createImageBitmap(file);
  try {
    const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((resolve) => { canvas.toBlob(resolve, "image/webp", 0.8); });
    return blob && URL.createObjectURL(blob);
  } finally {
    bitmap.close();
  }
}
