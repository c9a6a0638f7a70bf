"use strict";
// The case table: filter, choose what is shown, sort, unfold. Without a script the page shows all cases unfolded.
(() => {
  const table = document.getElementById("cases");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.querySelectorAll("tr.case")];
  const control = (id) => document.getElementById(id);
  const measures = JSON.parse(table.dataset.measures);
  const sorting = { column: "mean", descending: false };

  const measure = () => measures[control("measure").value];
  const cell = (row, column) => row.querySelector(`[data-column="${CSS.escape(column)}"]`);
  const number = (row, column) => {
    const text = cell(row, column)?.dataset[measure().key] ?? "";
    return text === "" ? null : Number(text);
  };

  function format(value) {
    if (value === null) return "–";
    return Number.isFinite(value) ? value.toFixed(measure().decimals) : "∞";
  }

  function compare(first, second) {
    const { column, descending } = sorting;
    if (column === "case" || column === "status") {
      const order = cell(first, column).textContent.localeCompare(cell(second, column).textContent, undefined, { numeric: true });
      return descending ? -order : order;
    }
    const [a, b] = [number(first, column), number(second, column)];
    if (a === null || b === null) return (a === null) - (b === null);  // what has no value comes last, either way
    return a === b ? 0 : (a < b) === descending ? 1 : -1;
  }

  function sort() {
    for (const row of rows.sort(compare)) body.append(row, row.nextSiblingDetail);
    for (const heading of table.tHead.querySelectorAll("th")) {
      const order = sorting.descending ? "descending" : "ascending";
      heading.setAttribute("aria-sort", heading.dataset.sort === sorting.column ? order : "none");
    }
  }

  function worstFirst() {
    const organ = control("organ").value;
    const neutral = measure().higher_is_better === null;
    sorting.column = organ || (neutral ? "case" : "mean");
    sorting.descending = measure().higher_is_better === false;
    sort();
  }

  function showMeasure() {
    for (const value of body.querySelectorAll("tr.case td[data-column]")) {
      if (["case", "status"].includes(value.dataset.column)) continue;
      const text = value.dataset[measure().key];
      value.firstChild.textContent = format(text ? Number(text) : null);
    }
    table.querySelector("[data-sort=mean]").hidden = measure().higher_is_better === null;
    for (const row of rows) cell(row, "mean").hidden = measure().higher_is_better === null;
  }

  function showOrgan() {
    const organ = control("organ").value;
    for (const value of table.querySelectorAll("[data-organ]")) {
      value.hidden = organ !== "" && value.dataset.organ !== organ;
    }
  }

  function filter() {
    const words = control("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = control("status").value;
    const organ = control("organ").value;
    let shown = 0;
    for (const row of rows) {
      const name = cell(row, "case").textContent.toLowerCase();
      const scope = organ ? [cell(row, organ)] : [...row.querySelectorAll("[data-organ]")];
      const flags = [row.dataset.status, row.dataset.flags, ...scope.flatMap((value) => (value?.dataset.flags ?? "").split(" "))];
      row.hidden = !words.every((word) => name.includes(word)) || (wanted !== "" && !flags.includes(wanted));
      row.nextSiblingDetail.hidden = row.hidden || !isOpen(row);
      shown += !row.hidden;
    }
    control("count").textContent = `${shown} of ${rows.length} cases`;
  }

  const opener = (row) => row.querySelector("button[aria-expanded]");
  const isOpen = (row) => opener(row).getAttribute("aria-expanded") === "true";
  function unfold(row, open) {
    opener(row).setAttribute("aria-expanded", String(open));
    row.nextSiblingDetail.hidden = !open;
  }

  for (const row of rows) {
    row.nextSiblingDetail = row.nextElementSibling;
    opener(row).addEventListener("click", () => unfold(row, !isOpen(row)));
  }
  for (const heading of table.tHead.querySelectorAll("th[data-sort]")) {
    heading.querySelector("button").addEventListener("click", () => {
      const column = heading.dataset.sort;
      sorting.descending = sorting.column === column && !sorting.descending;
      sorting.column = column;
      sort();
    });
  }
  for (const dot of document.querySelectorAll("[data-open]")) {
    dot.addEventListener("click", () => {
      const row = rows.find((one) => one.dataset.case === dot.dataset.open);
      for (const id of ["search", "status"]) control(id).value = "";
      filter();
      unfold(row, true);
      row.scrollIntoView({ behavior: "smooth" });
    });
  }
  control("search").addEventListener("input", filter);
  control("status").addEventListener("change", filter);
  control("measure").addEventListener("change", () => { showMeasure(); worstFirst(); });
  control("organ").addEventListener("change", () => { showOrgan(); filter(); worstFirst(); });
  showMeasure();
  worstFirst();
  filter();
})();
