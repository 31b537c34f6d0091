// Dark and light: as the system says, until the button says otherwise.

const STORED = "gridscribe.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

function current() {
  const chosen = localStorage.getItem(STORED);
  return chosen ?? (dark.matches ? "dark" : "light");
}

function apply(button) {
  const theme = current();
  document.documentElement.dataset.theme = theme;
  button.setAttribute("aria-pressed", String(theme === "dark"));
}

export function startTheme(button) {
  apply(button);
  dark.addEventListener("change", () => apply(button));
  button.addEventListener("click", () => {
    const next = current() === "dark" ? "light" : "dark";
    if ((next === "dark") === dark.matches) localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, next);
    apply(button);
  });
}
