// The list of steps: only the rows in sight exist, so that its length does not matter.
const ROW = 28;
const MOST_PIXELS = 8e6; // browsers give up on boxes of more than some ten million pixels
const shownCount = () => (matches ? matches.length : HEAD.steps);
const shownStep = (k) => (matches ? matches[k] : k);

function placeOf(step) {
  if (!matches) return step;
  let low = 0, high = matches.length;
  while (low < high) { const middle = (low + high) >> 1; if (matches[middle] < step) low = middle + 1; else high = middle; }
  return low;
}
const isShown = (step) => !matches || matches[placeOf(step)] === step;

// Scroll position and row number: one row is ROW pixels unless the list is too long for the browser.
function rowPixels() { return Math.min(ROW, MOST_PIXELS / Math.max(shownCount(), 1)); }

function sizeList() {
  const scale = rowPixels();
  byId("list-space").style.height = `${shownCount() * scale + (scale < ROW ? byId("list").clientHeight : 0)}px`;
}

function drawRows() {
  const list = byId("list"), space = byId("list-space"), count = shownCount(), scale = rowPixels();
  sizeList();
  const first = Math.max(0, Math.floor(list.scrollTop / scale) - 4), last = Math.min(count, first + Math.ceil(list.clientHeight / ROW) + 10);
  const top = scale < ROW ? list.scrollTop - (list.scrollTop / scale - first) * ROW : first * ROW, rows = [];
  for (let k = first; k < last; k++) rows.push(rowOf(k, top + (k - first) * ROW));
  if (!count) rows.push(h("p", { class: "note" }, "No step matches."));
  space.replaceChildren(...rows);
  const walk = count ? walkOf(shownStep(Math.min(count - 1, Math.floor(list.scrollTop / scale)))) : null;
  byId("list-caption").textContent = walk ? `${HEAD.arms[walk.arm].label} · ${walk.sequence}${seeded() ? ` · seed ${walk.seed}` : ""}` : "";
  list.setAttribute("aria-activedescendant", chosen.step >= 0 ? `row-${chosen.step}` : "");
}

const seeded = () => HEAD.walks.some((walk) => walk.seed !== HEAD.walks[0].seed);

function rowOf(k, top) {
  const i = shownStep(k), walk = walkOf(i), kind = has(i, "wrong") ? "wrong" : has(i, "right") ? "right" : "";
  const starts = k > 0 && shownStep(k - 1) < walk.offset; // another walk than the row above
  const said = HEAD.texts[COLUMNS.said[i]] || (has(i, "failed") ? "no answer" : "–"), length = COLUMNS.length[i];
  const marks = EVENTS.filter(([flag]) => has(i, flag)).map(([, text, shape, colour]) => s("svg", { width: 14, height: 12, viewBox: "0 0 14 12" }, eventMark(shape, colour, 7, 6), s("title", {}, text)));
  const row = h("div", {
    class: `row ${kind}${starts ? " starts" : ""}`, id: `row-${i}`, role: "option", "aria-selected": String(i === chosen.step), "aria-setsize": shownCount(), "aria-posinset": k + 1,
    title: `${HEAD.arms[walk.arm].label}, ${walk.sequence}, seed ${walk.seed}`, onclick: () => { choose(i, "list"); byId("list").focus({ preventScroll: true }); },
  }, h("span", {}, String(timeOf(i, walk))), h("span", {}, said), h("span", {}, HEAD.texts[COLUMNS.truth[i]] || "–"), h("span", {}, length >= 0 ? plain(length) : ""), h("span", { class: "marks" }, marks));
  row.style.top = `${top}px`;
  return row;
}

function reveal(step) {
  if (!isShown(step)) return;
  sizeList(); // a place below the end of the list could not be scrolled to
  const list = byId("list"), scale = rowPixels(), at = placeOf(step) * scale;
  if (at < list.scrollTop || at + ROW > list.scrollTop + list.clientHeight) list.scrollTop = Math.max(0, at - list.clientHeight / 3);
}

function moveBy(direction) {
  const count = shownCount();
  if (!count) return;
  const at = placeOf(chosen.step), here = isShown(chosen.step);
  const next = here ? at + direction : direction > 0 ? at : at - 1;
  choose(shownStep(Math.max(0, Math.min(count - 1, next))), "list");
}

function moveToWrong(direction) {
  for (let k = placeOf(chosen.step) + (isShown(chosen.step) || direction < 0 ? direction : 0); k >= 0 && k < shownCount(); k += direction)
    if (has(shownStep(k), "wrong")) { choose(shownStep(k), "list"); return; }
}

function startList() {
  const list = byId("list");
  list.addEventListener("scroll", () => requestAnimationFrame(drawRows));
  new ResizeObserver(drawRows).observe(list);
  onChoice(() => { reveal(chosen.step); drawRows(); });
}

function listChanged() {
  if (shownCount() && !isShown(chosen.step)) choose(shownStep(0), "filter");
  byId("list").scrollTop = 0;
  reveal(chosen.step);
  drawRows();
  showDetail(); // the words of the search are marked in it
}
