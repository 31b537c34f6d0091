// Words for screen readers, where sight has a change of colour or place.

const region = document.getElementById("announcer");

export function announce(text) {
  region.textContent = "";
  // The same words twice are news as well.
  requestAnimationFrame(() => { region.textContent = text; });
}
