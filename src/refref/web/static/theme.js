// Light or dark, before the first paint: what the person chose, else nothing, and then the system decides.
(() => {
  try {
    const chosen = localStorage.getItem("refref-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be forbidden; then the system decides.
  }
  document.documentElement.classList.add("has-script");
})();
