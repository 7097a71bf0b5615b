// What makes the pages nicer with JavaScript. Everything works without it.
(() => {
  "use strict";
  const root = document.documentElement;

  // Theme: system, light, dark.
  const names = { system: "System theme", light: "Light theme", dark: "Dark theme" };
  const order = ["system", "light", "dark"];
  const toggles = document.querySelectorAll("[data-theme-toggle]");
  const current = () => root.dataset.theme || "system";
  const showTheme = () => {
    for (const toggle of toggles) {
      toggle.hidden = false;
      toggle.querySelector("[data-theme-name]").textContent = names[current()];
    }
  };
  for (const toggle of toggles) {
    toggle.addEventListener("click", () => {
      const next = order[(order.indexOf(current()) + 1) % order.length];
      if (next === "system") delete root.dataset.theme;
      else root.dataset.theme = next;
      try {
        localStorage.setItem("refref-theme", next);
      } catch {
        // Not kept then; it holds for this page.
      }
      showTheme();
    });
  }
  showTheme();

  // Filters apply as soon as something is chosen.
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-submit-on-change]");
    if (form && event.target.tagName === "SELECT") form.requestSubmit();
  });

  // Fields that matter only for one choice of another field.
  const conditions = document.querySelectorAll("[data-shown-for]");
  const applyConditions = () => {
    for (const block of conditions) {
      const [name, values] = block.dataset.shownFor.split("=");
      const field = block.closest("form").elements[name];
      block.hidden = !values.split(",").includes(field.value);
    }
  };
  if (conditions.length) {
    document.addEventListener("change", applyConditions);
    applyConditions();
  }

  // The menu closes with Escape and when something else is clicked.
  const menu = document.querySelector("[data-menu]");
  if (menu) {
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && menu.open) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    });
    document.addEventListener("click", (event) => {
      if (menu.open && !menu.contains(event.target)) menu.open = false;
    });
  }

  // "/" goes to the search box.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) return;
    const box = document.querySelector('input[name="id"]');
    if (box) {
      event.preventDefault();
      box.focus();
    }
  });

  // Numbers of a day in the chart.
  for (const chart of document.querySelectorAll("[data-chart]")) {
    const plot = chart.querySelector(".chart-plot");
    const tip = document.createElement("div");
    tip.className = "chart-tip";
    tip.hidden = true;
    plot.append(tip);
    plot.addEventListener("pointermove", (event) => {
      const bar = event.target.closest("[data-tip]");
      tip.hidden = !bar;
      if (!bar) return;
      tip.textContent = bar.dataset.tip;
      const frame = plot.getBoundingClientRect();
      const half = tip.offsetWidth / 2;
      const at = bar.getBoundingClientRect();
      const middle = at.left + at.width / 2 - frame.left;
      tip.style.left = `${Math.max(half, Math.min(frame.width - half, middle))}px`;
    });
    plot.addEventListener("pointerleave", () => {
      tip.hidden = true;
    });
  }

  // What refreshes itself does so only while somebody can see it and selects no text in it.
  document.addEventListener("htmx:before:request", (event) => {
    const live = event.target.closest && event.target.closest("[data-live]");
    if (!live) return;
    const selection = document.getSelection();
    const isSelecting = selection && !selection.isCollapsed && live.contains(selection.anchorNode);
    if (document.hidden || isSelecting) event.preventDefault();
  });
})();
