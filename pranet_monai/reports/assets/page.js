"use strict";
// The case table: filter, choose what is shown, sort, unfold. The cases are columns of numbers; only the rows of one page
// of the table are ever elements. Every text of the data gets in as text, never as markup.
(() => {
  const table = document.getElementById("cases");
  if (!table) return;
  const control = (id) => document.getElementById(id);
  if (typeof caseData === "undefined") {
    control("count").textContent = "No cases to show: cases.js must lie beside this page";
    return;
  }
  const data = JSON.parse(caseData);
  const total = data.cases.length;
  const perPage = Number(table.dataset.shown);
  const measures = Object.fromEntries(data.measures.map((measure) => [measure.key, measure]));
  const sorting = { column: "case", descending: false };
  let shown = [];  // positions of the cases that pass the filter, in the order of the table
  let page = 0;
  const opened = new Set();

  const measure = () => measures[control("measure").value];
  const chosenOrgans = () => data.organs.filter((organ) => ["", organ.key].includes(control("organ").value));

  // ---- numbers and flags
  const columns = new Map();
  function column(key, organ) {
    const name = `${key} ${organ}`;
    if (!columns.has(name)) {
      const values = data.values[key][organ];
      columns.set(name, values && Float64Array.from(values, (value) => (value === null ? NaN : Number(value))));
    }
    return columns.get(name);
  }

  const flagged = {};  // organ → flag → set of positions
  for (const [organ, flags] of Object.entries(data.flags)) {
    flagged[organ] = Object.fromEntries(Object.entries(flags).map(([flag, found]) => [flag, new Set(found)]));
  }
  const has = (organ, flag, index) => flagged[organ]?.[flag]?.has(index) ?? false;

  function format(value, { decimals }) {
    if (value === null || Number.isNaN(value)) return "–";
    return Number.isFinite(Number(value)) ? Number(value).toFixed(decimals) : "∞";
  }

  // ---- which cases, in which order
  function comparison() {
    const turn = sorting.descending ? -1 : 1;
    if (sorting.column === "case") return (a, b) => turn * (a - b);  // the data is sorted by name
    if (sorting.column === "status") return (a, b) => turn * data.status[a].localeCompare(data.status[b]) || a - b;
    const values = column(measure().key, sorting.column);
    return (a, b) => {
      const [x, y] = [values[a], values[b]];
      if (x === y) return a - b;
      if (x !== x || y !== y) return (x !== x) - (y !== y) || a - b;  // what has no value comes last, either way
      return x < y ? -turn : turn;
    };
  }

  function filter() {
    const words = control("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = control("status").value;
    const scopes = ["", ...chosenOrgans().map((organ) => organ.key)];
    shown = [];
    for (let index = 0; index < total; index++) {
      if (wanted && data.status[index] !== wanted && !scopes.some((scope) => has(scope, wanted, index))) continue;
      if (words.length) {
        const name = data.cases[index].toLowerCase();
        if (!words.every((word) => name.includes(word))) continue;
      }
      shown.push(index);
    }
    sort();
  }

  function sort() {
    shown.sort(comparison());
    for (const heading of table.tHead.querySelectorAll("th")) {
      const order = sorting.descending ? "descending" : "ascending";
      heading.setAttribute("aria-sort", heading.dataset.sort === sorting.column ? order : "none");
    }
    draw(0);
  }

  function worstFirst() {
    const organ = control("organ").value;
    const neutral = measure().higher_is_better === null;
    sorting.column = organ || (neutral ? "case" : "mean");
    sorting.descending = measure().higher_is_better === false;
    filter();
  }

  // ---- elements
  function make(name, attributes, ...content) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...content);
    return element;
  }

  function draw(number) {
    page = number;
    const first = page * perPage;
    const indices = shown.slice(first, first + perPage);
    table.tBodies[0].replaceChildren(...indices.flatMap(rowsOf));
    for (const heading of table.tHead.querySelectorAll("[data-organ]")) {
      heading.hidden = !chosenOrgans().some((organ) => organ.key === heading.dataset.organ);
    }
    table.querySelector("[data-sort=mean]").hidden = measure().higher_is_better === null;
    const last = Math.ceil(shown.length / perPage) - 1;
    const span = last > 0 ? `; here are ${first + 1} to ${first + indices.length}` : "";
    control("count").textContent = `${shown.length} of ${total} cases${span}`;
    control("pager").hidden = last <= 0;
    for (const button of control("pager").querySelectorAll("button")) {
      button.disabled = stepTo(button.dataset.step, last) === page;
    }
  }

  function stepTo(step, last) {
    return { first: 0, previous: Math.max(0, page - 1), next: Math.min(last, page + 1), last }[step];
  }

  const SAID = { accepted: "accepted", rejected: "rejected", outdated: "mask changed since its review" };

  function rowsOf(index) {
    const name = data.cases[index];
    const isOpen = opened.has(index);
    const opener = make("button", { type: "button", "aria-expanded": String(isOpen), "aria-controls": `case-${index}` }, name);
    const detail = make("tr", { class: "detail", id: `case-${index}`, hidden: !isOpen });
    if (isOpen) detail.append(detailOf(index));
    opener.addEventListener("click", () => {
      const open = !opened.delete(index);
      if (open) opened.add(index);
      opener.setAttribute("aria-expanded", String(open));
      detail.replaceChildren(...(open ? [detailOf(index)] : []));
      detail.hidden = !open;
    });
    const status = data.status[index];
    const badges = has("", "review", index) ? [make("small", { class: "bad" }, "review")] : [];
    if (has("", "remark", index)) badges.push(make("small", { title: data.texts[index].remark }, "remark"));
    const said = Object.keys(SAID).filter((flag) => has("", flag, index));
    badges.push(...said.map((flag) => make("small", { class: flag === "accepted" ? "good" : "bad" }, SAID[flag])));
    const row = make(
      "tr", { class: "case", "data-case": name, "data-status": status },
      make("td", { class: "text", "data-column": "case" }, opener),
      make("td", { class: status === "failed" ? "text bad" : "text", "data-column": "status" }, status, ...badges),
    );
    if (measure().higher_is_better !== null) row.append(valueCell(index, "mean"));
    row.append(...chosenOrgans().map((organ) => valueCell(index, organ.key)));
    return [row, detail];
  }

  function valueCell(index, organ) {
    const wrong = ["missed", "false_positive"].filter((flag) => has(organ, flag, index));
    const badges = wrong.map((flag) => make("small", { class: "bad" }, flag.replaceAll("_", " ")));
    return make("td", { "data-column": organ }, format(column(measure().key, organ)[index], measure()), ...badges);
  }

  function detailOf(index) {
    const { reason, remark, comment } = data.texts[index] ?? {};
    const cell = make("td", { colspan: 3 + data.organs.length });
    cell.append(...pictureOf(index));
    if (reason && data.status[index] === "failed") cell.append(make("p", {}, reason));
    else cell.append(organTable(index));
    if (remark) cell.append(make("p", { class: "warn" }, `Remark: ${remark}`));
    if (comment) cell.append(make("p", {}, `Reviewer: ${comment}`));
    return cell;
  }

  function pictureOf(index) {
    const name = data.cases[index];
    const linked = `previews/${name.split("/").map(encodeURIComponent).join("/")}.png`;
    const source = data.pictures ? data.pictures[index] : linked;
    if (!source) return [];
    const picture = make("img", { src: source, alt: `Slices of ${name} with the organs outlined` });
    picture.addEventListener("error", () => picture.remove());
    return [picture];
  }

  function organTable(index) {
    const size = data.measures.at(-1);
    const headings = ["Organ", ...data.measures.map((one) => one.heading), ...(data.reference ? [data.reference.heading] : []), "Note"];
    const rows = data.organs.map(({ key, title }) => {
      const cells = data.measures.map((one) => format(column(one.key, key)[index], one));
      if (data.reference) cells.push(format(data.reference.values[key][index], size));
      const notes = has(key, "touches_border", index) ? ["at the edge of the volume"] : [];
      for (const flag of ["missed", "false_positive", "both_empty"]) {
        if (has(key, flag, index)) notes.push(flag.replaceAll("_", " "));
      }
      return make("tr", {}, ...[title, ...cells, notes.join("; ")].map((text) => make("td", {}, text)));
    });
    const head = make("tr", {}, ...headings.map((text) => make("th", { scope: "col" }, text)));
    return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  }

  // ---- what the reader does
  for (const heading of table.tHead.querySelectorAll("th[data-sort]")) {
    heading.querySelector("button").addEventListener("click", () => {
      const chosen = heading.dataset.sort;
      sorting.descending = sorting.column === chosen && !sorting.descending;
      sorting.column = chosen;
      sort();
    });
  }
  for (const button of control("pager").querySelectorAll("button")) {
    button.addEventListener("click", () => {
      draw(stepTo(button.dataset.step, Math.ceil(shown.length / perPage) - 1));
      table.scrollIntoView();
    });
  }
  for (const dot of document.querySelectorAll("[data-open]")) {
    dot.addEventListener("click", () => {
      const index = data.cases.indexOf(dot.dataset.open);
      for (const id of ["search", "status"]) control(id).value = "";
      opened.add(index);
      filter();
      draw(Math.floor(shown.indexOf(index) / perPage));
      control(`case-${index}`).previousElementSibling.scrollIntoView({ behavior: "smooth" });
    });
  }
  for (const id of ["search", "status"]) control(id).addEventListener(id === "search" ? "input" : "change", filter);
  for (const id of ["measure", "organ"]) control(id).addEventListener("change", worstFirst);
  worstFirst();
  opened.add(shown[0]);  // the worst case shows that the others unfold too
  draw(0);
})();
