// The caller's API key: for this tab, or for this browser where the user says so.

const STORED = "gridscribe.api-key";
const listeners = new Set();

export function getKey() {
  return sessionStorage.getItem(STORED) ?? localStorage.getItem(STORED);
}

export function isRemembered() {
  return localStorage.getItem(STORED) !== null;
}

export function keepKey(key, remember) {
  drop();
  (remember ? localStorage : sessionStorage).setItem(STORED, key);
  for (const listener of listeners) listener();
}

function drop() {
  sessionStorage.removeItem(STORED);
  localStorage.removeItem(STORED);
}

export function forgetKey() {
  drop();
  for (const listener of listeners) listener();
}

/** Calls `listener` whenever there is another key, or none. */
export function onKeyChange(listener) {
  listeners.add(listener);
}

/** The header that brings the key, if there is one. */
export function authorization() {
  const key = getKey();
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}
