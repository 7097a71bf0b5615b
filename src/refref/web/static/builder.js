// What makes the program builder nicer with JavaScript: rows that are added, operators that fit their field, lists to
// choose from. Everything works without it.
(() => {
  "use strict";
  for (const part of document.querySelectorAll("[data-only-with-script]")) part.hidden = false;
  for (const part of document.querySelectorAll("form[data-builder] [data-only-without-script]")) part.remove();

  // Conditions: only what goes with the field that is chosen.
  const fitRow = (row) => {
    const chosen = row.querySelector("[data-field]").selectedOptions[0];
    const kind = chosen.dataset.kind || "";
    const operator = row.querySelector("[data-operator]");
    let isGone = false;
    for (const option of operator.options) {
      const fits = kind !== "" && option.dataset.kinds.split(" ").includes(kind);
      option.hidden = option.disabled = !fits;
      if (option.selected && !fits) isGone = true;
    }
    if (isGone) {
      const first = [...operator.options].find((option) => !option.disabled);
      if (first) operator.value = first.value;
    }
    const wanted = operator.selectedOptions[0] ? operator.selectedOptions[0].dataset.wanted : "text";
    row.querySelector("[data-for-kind]").hidden = kind !== "metadata";
    operator.closest("div").hidden = kind === "";
    row.querySelector("[data-value]").hidden = kind === "" || wanted === "none";
    const value = row.querySelector("[data-value] input");
    value.type = wanted === "instant" ? "datetime-local" : "text";
    const finder = row.querySelector("[data-find]");
    finder.hidden = !("finds" in chosen.dataset) || !wanted.startsWith("text");
    finder.parentElement.dataset.picker = wanted === "texts" ? "many" : "one";
    value.placeholder = kind === "amounts" ? "50.00 USD, 45.00 EUR" : wanted === "texts" ? "Several, with commas" : "Value";
  };
  const fitRows = () => document.querySelectorAll(".condition-row").forEach(fitRow);
  fitRows();
  document.addEventListener("change", (event) => {
    const row = event.target.closest && event.target.closest(".condition-row");
    if (!row) return;
    if (event.target.matches("[data-field]")) row.querySelector("[data-find]").open = false;
    fitRow(row);
  });

  // One more row like the last one, empty and with the next number.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-add-row]");
    if (!button) return;
    const rows = button.parentElement.querySelector("[data-rows]");
    const last = rows.lastElementChild;
    const number = (text) => text.replace(/(\.)(\d+)(?=(\.[^.]*)?$)/, (_, dot, found) => dot + (Number(found) + 1));
    const made = last.cloneNode(true);
    for (const input of made.querySelectorAll("input, select")) {
      if (input.name) input.name = number(input.name);
      if (input.tagName === "SELECT") input.selectedIndex = 0;
      else input.value = "";
      input.classList.remove("input-error", "select-error");
      input.removeAttribute("aria-invalid");
    }
    for (const part of made.querySelectorAll("[id]")) part.id = number(part.id);
    for (const label of made.querySelectorAll("[for]")) label.htmlFor = number(label.htmlFor);
    for (const fault of made.querySelectorAll(".text-error")) fault.remove();
    for (const details of made.querySelectorAll("details")) details.open = false;
    for (const list of made.querySelectorAll("[data-choices], [data-names]")) list.textContent = "";
    for (const part of [made, ...made.querySelectorAll("*")]) {
      for (const attribute of [...part.attributes]) {
        if (attribute.name.startsWith("data-htmx")) part.removeAttribute(attribute.name);
      }
    }
    rows.append(made);
    if (window.htmx) window.htmx.process(made);
    fitRows();
    const first = made.querySelector("input, select");
    if (first) first.focus();
  });

  // Lists to choose from fill the field of their picker, and the names of what is chosen stand below it.
  const names = new Map();
  for (const known of document.querySelectorAll("[data-names] [data-id]")) names.set(known.dataset.id, known.textContent);
  const idsIn = (field) => field.value.split("commas" in field.dataset ? /\s*[,;]\s*/ : /[\s,;]+/).filter((one) => one);
  const showPicked = () => {
    for (const button of document.querySelectorAll("[data-pick]")) {
      const field = button.closest("[data-picker]").querySelector("[data-picked]");
      button.setAttribute("aria-pressed", String(idsIn(field).includes(button.dataset.pick)));
    }
    for (const told of document.querySelectorAll("[data-names]")) {
      const field = told.closest("[data-picker]").querySelector("[data-picked]");
      told.textContent = idsIn(field).filter((id) => names.has(id)).map((id) => names.get(id)).join(", ");
    }
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pick]");
    if (!button) return;
    const picker = button.closest("[data-picker]");
    const field = picker.querySelector("[data-picked]");
    if (button.dataset.name) names.set(button.dataset.pick, button.dataset.name);
    let ids = idsIn(field);
    if (ids.includes(button.dataset.pick)) ids = ids.filter((id) => id !== button.dataset.pick);
    else ids = picker.dataset.picker === "one" ? [button.dataset.pick] : [...ids, button.dataset.pick];
    field.value = ids.join(", ");
    field.dispatchEvent(new Event("change", { bubbles: true }));
    showPicked();
    if (picker.dataset.picker === "one" && ids.length) {
      picker.querySelector("details").open = false;
      field.focus();
    }
  });
  document.addEventListener("input", showPicked);
  document.addEventListener("htmx:after:swap", showPicked);
  showPicked();
})();
