// The names in a zip, from the directory at its end (APPNOTE.TXT 4.3.12 and 4.3.16).

import { kindOf } from "./dropped_files.js";

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LONGEST_END = 22 + 0xffff;

/** How many images a zip holds, by their names; null where that cannot be told (a zip64, a damaged one). */
export async function countImages(file) {
  const tailStart = Math.max(0, file.size - LONGEST_END);
  const tail = new DataView(await file.slice(tailStart).arrayBuffer());
  for (let at = tail.byteLength - 22; at >= 0; at -= 1) {
    if (tail.getUint32(at, true) !== END) continue;
    const [size, offset] = [tail.getUint32(at + 12, true), tail.getUint32(at + 16, true)];
    if (offset === 0xffffffff || offset + size > file.size) return null;
    return countEntries(new DataView(await file.slice(offset, offset + size).arrayBuffer()));
  }
  return null;
}

function countEntries(directory) {
  const decoder = new TextDecoder();
  let count = 0;
  for (let at = 0; at + 46 <= directory.byteLength;) {
    if (directory.getUint32(at, true) !== ENTRY) return null;
    const length = directory.getUint16(at + 28, true);
    const name = decoder.decode(new Uint8Array(directory.buffer, at + 46, Math.min(length, directory.byteLength - at - 46)));
    if (!name.startsWith("__MACOSX/") && kindOf(name) === "image") count += 1;
    at += 46 + length + directory.getUint16(at + 30, true) + directory.getUint16(at + 32, true);
  }
  return count;
}
