// Light or dark: the system decides until the reader does.
function startTheme() {
  const root = document.documentElement, button = byId("theme"), system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = localStorage.getItem("rnnprog-theme"); } catch { /* a page opened from disk may have no storage */ }
  const apply = () => {
    const theme = chosen || (system.matches ? "dark" : "light");
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light" : "Dark";
  };
  const toggle = () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("rnnprog-theme", chosen); } catch { /* the choice then lasts as long as the page */ }
    apply();
  };
  system.addEventListener("change", apply);
  button.addEventListener("click", toggle);
  apply();
  return toggle;
}
