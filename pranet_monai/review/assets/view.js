// The page of a review: list of cases, keys, verdicts. Every text of the data gets in as text, never as markup.
const ALIVE_MS = 20_000;
const LAYERS = {
  mask: { key: "m", title: "mask" },
  reference: { key: "e", title: "reference" },
  unsure: { key: "q", title: "where unsure" },
};
const element = (id) => document.getElementById(id);
const visible = { image: true, mask: true, reference: false, unsure: false };

const data = await (await fetch("cases.json")).json();
const reviews = data.reviews;
const flagged = Object.fromEntries(Object.entries(data.flags[""]).map(([flag, found]) => [flag, new Set(found)]));
const { createViewer, planes } = await import(data.kind === "volume" ? "./volumes.js" : "./pictures.js");
const viewer = await createViewer(element("view"), data.classes, (text) => { element("status").textContent = text; })
  .catch((error) => {
    trouble(`nothing can be shown here: ${error.message ?? error} (volumes want a browser with WebGL 2)`);
    throw error;
  });
let current = null;  // position of the case that is shown
let plane = 0;
let loading = false;

function make(name, attributes, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...content);
  return made;
}

function trouble(text) {
  element("trouble").textContent = text;
  element("trouble").hidden = !text;
}

// ---- the list
const reviewOf = (index) => reviews[data.cases[index]] ?? { verdict: "", comment: "", is_outdated: false };
const verdictOf = (index) => (reviewOf(index).is_outdated ? "" : reviewOf(index).verdict);

function passes(index) {
  const wanted = element("filter").value;
  if (wanted === "open") return !verdictOf(index);
  if (wanted === "review") return flagged.review?.has(index) ?? false;
  return !wanted || verdictOf(index) === wanted;
}

function drawList() {
  element("cases").replaceChildren(...data.order.filter(passes).map((index) => {
    const button = make("button", { type: "button", title: data.cases[index], "data-index": index });
    button.append(make("span", {}, make("bdi", {}, data.cases[index])));
    button.addEventListener("click", () => show(index));
    const row = make("li", {}, button);
    mark(button, index);
    return row;
  }));
  drawProgress();
}

function mark(button, index) {
  button.dataset.verdict = verdictOf(index);
  button.dataset.flag = flagged.review?.has(index) ? "review" : "";
  button.setAttribute("aria-current", String(index === current));
}

function redrawMarks() {
  for (const button of element("cases").querySelectorAll("button")) mark(button, Number(button.dataset.index));
  drawProgress();
}

function drawProgress() {
  const verdicts = data.cases.map((_, index) => verdictOf(index));
  const count = (verdict) => verdicts.filter((one) => one === verdict).length;
  element("progress").textContent =
    `${data.cases.length} cases: ${count("accepted")} accepted, ${count("rejected")} rejected, ${count("")} without a verdict`;
}

function step(by) {
  const listed = data.order.filter((index) => passes(index) || index === current);
  const next = listed[listed.indexOf(current) + by];
  if (next !== undefined) show(next);
}

// ---- a case
async function show(index) {
  current = index;
  redrawMarks();
  drawFacts();
  element("cases").querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
  if (loading) return;  // whoever loads will see that another case is wanted
  loading = true;
  let loaded = null;
  while (loaded !== current) {
    loaded = current;
    await load(loaded);
  }
  loading = false;
}

async function load(index) {
  const name = data.cases[index];
  const address = (layer) => `${encodeURIComponent(name)}/${layer}`;
  document.body.dataset.shown = "";
  element("status").textContent = `loading ${name} …`;
  try {
    await viewer.show(data.layers[index], address);
    applyVisible();
    element("status").textContent = "";
    trouble("");
  } catch (error) {
    const answers = await Promise.all(data.layers[index].map(async (layer) => {
      const answer = await fetch(address(layer)).catch(() => null);
      return answer?.status === 500 ? answer.text() : "";
    }));
    trouble(answers.find(Boolean) ?? `${name} can't be shown (${error.message ?? error})`);
    element("status").textContent = "";
  }
  document.body.dataset.shown = name;
}

function applyVisible() {
  viewer.setVisible(visible);
  for (const button of element("layers").children) {
    const { layer } = button.dataset;
    button.setAttribute("aria-pressed", String(visible[layer]));
    button.disabled = !data.layers[current].includes(layer);
  }
}

function toggle(layer) {
  if (!data.layers[current].includes(layer)) return;
  visible[layer] = !visible[layer];
  if (layer === "reference") visible.mask = !visible.reference;  // by turns, so that differences jump out
  applyVisible();
}

function setPlane(number) {
  plane = number;
  viewer.setPlane(plane);
  for (const button of element("planes").children) button.setAttribute("aria-pressed", String(Number(button.dataset.key) === plane));
}

function drawFacts() {
  element("case").textContent = data.cases[current];
  element("comment").value = reviewOf(current).comment;
  element("remark").textContent = data.texts[current]?.remark ?? "";
  drawVerdict();
  drawOrgans();
}

function drawVerdict() {
  const review = reviewOf(current);
  for (const button of element("verdicts").children) {
    button.setAttribute("aria-pressed", String(Boolean(button.dataset.verdict) && button.dataset.verdict === verdictOf(current)));
  }
  const badges = flagged.review?.has(current) ? [make("span", { class: "warn" }, "to be reviewed")] : [];
  if (review.is_outdated) badges.push(make("span", { class: "bad" }, `${review.verdict || "commented"}, but the mask has changed since`));
  element("badges").replaceChildren(...badges);
}

function drawOrgans() {
  const measures = data.measures.filter((one) => one.higher_is_better !== null).slice(0, 1);
  const expected = data.measures.filter((one) => one.key === "expected_dice" && !measures.includes(one));
  const columns = [...measures, ...expected, data.measures.at(-1)];
  const text = (value, { decimals }) => (value === null ? "–" : Number.isFinite(Number(value)) ? Number(value).toFixed(decimals) : "∞");
  element("measures").replaceChildren(
    make("tr", {}, make("th", { scope: "col" }, "Organ"), ...columns.map((one) => make("th", { scope: "col" }, one.heading))),
  );
  element("organs").replaceChildren(...data.organs.map(({ key, title }) => {
    const notes = ["missed", "false_positive", "touches_border"].filter((flag) => data.flags[key]?.[flag]?.includes(current));
    const swatch = make("span", { class: "swatch" });
    swatch.style.background = `rgb(${data.colors[key].join(" ")})`;
    const words = { missed: "missed", false_positive: "false positive", touches_border: "at the edge" };
    return make(
      "tr", {},
      make("th", { scope: "row" }, swatch, title, ...notes.map((flag) => make("small", { class: flag === "touches_border" ? null : "bad" }, ` ${words[flag]}`))),
      ...columns.map((one) => make("td", {}, text(data.values[one.key][key]?.[current] ?? null, one))),
    );
  }));
}

// ---- what the reviewer says: shown at once, and sent one after the other, so that the last word counts
let sending = Promise.resolve(true);

function say(index, verdict, comment) {
  const name = data.cases[index];
  const before = reviews[name];
  reviews[name] = { verdict, comment: comment.trim().replaceAll(/\s+/g, " "), is_outdated: false };
  redrawMarks();
  drawVerdict();
  sending = sending.then(() => send(name, verdict, comment, before));
  return sending;
}

async function send(name, verdict, comment, before) {
  try {
    const answer = await fetch("review", {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ case: name, verdict, comment }),
    });
    if (!answer.ok) throw new Error(await answer.text());
    trouble("");
    return true;
  } catch (error) {
    trouble(`not saved: ${error.message}; is pranet-monai view still running?`);
    reviews[name] = before;
    if (!before) delete reviews[name];
    redrawMarks();
    drawVerdict();
    return false;
  }
}

async function judge(verdict) {
  const index = current;
  if (document.body.dataset.shown !== data.cases[index]) return;  // nobody has seen it yet
  if (verdict === "rejected") element("comment").focus();  // at once: what is typed next is the reason, not a key
  const saved = await say(index, verdict, element("comment").value);
  if (saved && verdict === "accepted" && current === index) step(1);
}

element("comment").addEventListener("keydown", async (event) => {
  if (event.key === "Escape") {
    element("comment").value = reviewOf(current).comment;
    element("comment").blur();
  } else if (event.key === "Enter") {
    event.preventDefault();
    const index = current;
    const saved = say(index, verdictOf(index), element("comment").value);
    element("comment").blur();
    if ((await saved) && verdictOf(index) && current === index) step(1);
  }
});

// what was typed is kept when another case is clicked
element("comment").addEventListener("change", () => {
  if (element("comment").value.trim() !== reviewOf(current).comment) say(current, verdictOf(current), element("comment").value);
});

// ---- keys and buttons
const KEYS = { n: () => step(1), p: () => step(-1), c: () => element("comment").focus() };
for (const button of element("verdicts").children) {
  KEYS[button.dataset.key] = () => judge(button.dataset.verdict);
  button.addEventListener("click", KEYS[button.dataset.key]);
}
for (const [layer, { key, title }] of Object.entries(LAYERS)) {
  const button = make("button", { type: "button", "data-layer": layer }, `${title} `, make("kbd", {}, key.toUpperCase()));
  KEYS[key] = () => toggle(layer);
  button.addEventListener("click", KEYS[key]);
  element("layers").append(button);
}
for (const [key, title] of Object.entries(planes)) {
  const button = make("button", { type: "button", "data-key": key }, `${title} `, make("kbd", {}, key));
  KEYS[key] = () => setPlane(Number(key));
  button.addEventListener("click", KEYS[key]);
  element("planes").append(button);
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || ["INPUT", "SELECT"].includes(event.target.tagName)) return;
  const action = KEYS[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
});
element("filter").addEventListener("change", drawList);

setInterval(() => {
  fetch("alive", { method: "POST" }).catch(() => trouble("pranet-monai view has ended; what was said is saved. Start it again to go on."));
}, ALIVE_MS);

document.title = `Review: ${data.title}`;
element("title").textContent = document.title;
drawList();
if (Object.keys(planes).length) setPlane(0);
await show(data.order.find((index) => !verdictOf(index)) ?? data.order[0]);
