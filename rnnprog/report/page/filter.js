// Which steps the list shows. Marks are asked of the columns at once; text is looked up block by block without blocking.
const filters = { arm: "", sequence: "", text: "", flags: new Set() };
const FILTER_FLAGS = [["wrong", "Wrong"], ["failed", "Failed"], ["guard", "Guard events"], ["dropped", "Dropped"], ["late", "Late feedback"]];
let matches = null; // indices, or null for all
let searchRun = 0;

const maskOf = (name) => (name === "guard" ? HEAD.flags.repaired | HEAD.flags.kept_old : HEAD.flags[name]);

function marked() {
  const masks = [...filters.flags].map(maskOf), found = [];
  for (const walk of HEAD.walks) {
    if (filters.arm !== "" && walk.arm !== Number(filters.arm)) continue;
    if (filters.sequence !== "" && walk.sequence !== filters.sequence) continue;
    for (let i = walk.offset; i < walk.offset + walk.length; i++)
      if (masks.every((mask) => COLUMNS.flags[i] & mask)) found.push(i);
  }
  return found;
}

async function applyFilters(changed) {
  const run = ++searchRun, words = filters.text.trim().toLowerCase();
  const plainly = !words && !filters.flags.size && filters.arm === "" && filters.sequence === "";
  const candidates = plainly ? null : marked();
  if (!words) { matches = candidates; tell(); changed(); return; }
  const found = [], count = byId("filter-count");
  matches = found;
  let block = -1, hits = null, paused = performance.now();
  for (const i of candidates) {
    const k = Math.floor(i / HEAD.block);
    if (k !== block) {
      hits = await blockHits(k, words);
      block = k;
      if (run !== searchRun) return;
      if (performance.now() - paused > 100) {
        count.textContent = `${found.length.toLocaleString("en-US")} found, still searching…`;
        changed();
        await new Promise((resolve) => setTimeout(resolve));
        paused = performance.now();
      }
    }
    if (hits[i % HEAD.block]) found.push(i);
  }
  tell();
  changed();
}

// A step matches if its own texts do, or a line of the memory that it wrote.
async function blockHits(k, words) {
  const block = await unpackJson(`steps-${k}`), lines = block.s.map((line) => line.toLowerCase().includes(words));
  return block.r.map((step) => {
    const { c, k: updates, ...own } = step;
    if (says(own, words)) return true;
    return updates.some(({ c: after, d, ...rest }) => says(rest, words) || (after || []).some((line) => lines[line] && !(c || []).includes(line)));
  });
}

// Whether a value holds the words, as it is shown: names of fields count, the page's own keys of one or two letters do not.
function says(value, words) {
  if (value === null || value === undefined) return false;
  if (typeof value !== "object") return String(value).toLowerCase().includes(words);
  return Object.entries(value).some(([name, inner]) => (name.length > 2 && name.toLowerCase().includes(words)) || says(inner, words));
}

function tell() {
  const n = matches ? matches.length : HEAD.steps;
  byId("filter-count").textContent = `${n.toLocaleString("en-US")} of ${HEAD.steps.toLocaleString("en-US")} steps`;
}

function startFilter(changed) {
  const arm = byId("filter-arm"), sequence = byId("filter-sequence"), form = byId("filter"), text = byId("filter-text");
  const names = [...new Set(HEAD.walks.map((walk) => walk.sequence))];
  options(arm, [["", "all"], ...HEAD.arms.map((a, i) => [i, a.label])], "");
  options(sequence, [["", "all"], ...names.map((name) => [name, name])], "");
  arm.parentElement.hidden = HEAD.arms.length < 2;
  sequence.parentElement.hidden = names.length < 2;
  let any = 0;
  for (const flags of COLUMNS.flags) any |= flags;
  const buttons = FILTER_FLAGS.filter(([name]) => any & maskOf(name)).map(([name, label]) => h("button", { type: "button", "data-flag": name, "aria-pressed": "false", onclick: () => toggle(name) }, label));
  byId("filter-flags").append(...buttons);
  const toggle = (name) => {
    const button = buttons.find((b) => b.dataset.flag === name);
    if (!button) return;
    if (!filters.flags.delete(name)) filters.flags.add(name);
    button.setAttribute("aria-pressed", String(filters.flags.has(name)));
    applyFilters(changed);
  };
  const typed = debounce(() => { filters.text = text.value; applyFilters(changed); }, 150);
  text.addEventListener("input", typed);
  arm.addEventListener("change", () => { filters.arm = arm.value; applyFilters(changed); });
  sequence.addEventListener("change", () => { filters.sequence = sequence.value; applyFilters(changed); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    Object.assign(filters, { arm: "", sequence: "", text: "", flags: new Set() });
    for (const button of buttons) button.setAttribute("aria-pressed", "false");
    applyFilters(changed);
  });
  tell();
  return toggle;
}
