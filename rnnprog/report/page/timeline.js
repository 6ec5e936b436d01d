// One walk from left to right: memory length, what the guard did, and which steps were right.
const EVENTS = [
  ["repaired", "guard repaired", 2, "var(--arm4)"],
  ["kept_old", "guard kept the old memory", 3, "var(--bad)"],
  ["dropped", "budget dropped items", 1, "var(--arm6)"],
  ["failed", "no usable answer", 4, "var(--bad)"],
];
const eventPath = (shape, x, y) => (shape === 4 ? `M${x - 4},${y - 4}l8,8m0,-8l-8,8` : shapePath(shape, x, y, 4));
const eventMark = (shape, colour, x, y) => s("path", { d: eventPath(shape, x, y), fill: shape === 4 ? "none" : colour, stroke: colour, "stroke-width": shape === 4 ? 2 : 0 });

let timelineFrame = null;

function drawTimeline() {
  drawValues();
  const walk = chosen.walk, box = byId("timeline"), { budget } = HEAD.arms[walk.arm];
  const known = []; // [step index, length]
  for (let i = 0; i < walk.length; i++) if (COLUMNS.length[walk.offset + i] >= 0) known.push([i, COLUMNS.length[walk.offset + i]]);
  box.style.height = known.length ? "" : "120px"; // only the strip is left without a memory
  const most = Math.max(1, known.reduce((top, [, v]) => Math.max(top, v), 0), known.length && budget ? budget : 0);
  timelineFrame = frame(box, {
    margin: { left: 46, right: 14, top: 22, bottom: 78 }, xTitle: "", yTitle: known.length ? "memory length (tokens)" : "no memory recorded",
    x: (a, b) => linear(walk.first, walk.first + Math.max(walk.length - 1, 1), a + 4, b - 4), y: (a, b) => linear(0, most * 1.08, a, b),
    yCount: 4, yText: (value) => (known.length ? plain(value) : ""),
  });
  const { root, area, xs, ys } = timelineFrame;
  if (known.length) {
    if (budget) root.append(s("path", { d: `M${area.left},${ys(budget)}H${area.right}`, stroke: "var(--bad)", "stroke-dasharray": "5 4", opacity: 0.7 }),
      s("text", { x: area.left + 6, y: ys(budget) - 5 }, `budget ${plain(budget)} tokens`));
    root.append(s("path", { class: "length", d: stairs(known, walk, xs, ys), fill: "none", stroke: styleOf(walk.arm).colour, "stroke-width": 1.8 }));
  }
  drawEvents(root, walk, xs, ys, area);
  if (HEAD.metric.binary) drawStrip(root, walk, xs, area); else drawErrors(root, walk, xs, area);
  root.append(s("text", { x: (area.left + area.right) / 2, y: area.bottom + 72, "text-anchor": "middle" }, "step of the sequence"), s("g", { class: "cursor" }));
  moveCursor();
}

// A step keeps its value until the next; where several fall on one pixel, the highest of them is drawn.
function stairs(known, walk, xs, ys) {
  let path = "", lastPixel = null, top = 0;
  for (const [i, value] of known) {
    const x = Math.round(xs(walk.first + i) * 2) / 2;
    if (x === lastPixel && value <= top) continue;
    path += path ? `H${x}V${ys(value)}` : `M${x},${ys(value)}`;
    lastPixel = x; top = value;
  }
  return path;
}

function drawEvents(root, walk, xs, ys, area) {
  const seen = new Set();
  for (const [flag, , shape, colour] of EVENTS) {
    const mask = HEAD.flags[flag];
    for (let i = 0; i < walk.length; i++) {
      if (!(COLUMNS.flags[walk.offset + i] & mask)) continue;
      const x = xs(walk.first + i), key = `${shape}/${Math.round(x / 3)}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const length = COLUMNS.length[walk.offset + i];
      root.append(eventMark(shape, colour, x, length >= 0 ? ys(length) - 9 - 2 * (shape === 4) : area.bottom - 10));
    }
  }
}

// Below the axis: a tick for each step, low for right, tall for wrong, so that it reads without colour too.
function drawStrip(root, walk, xs, area) {
  const base = area.bottom + 52, width = Math.max(1, Math.min(8, (xs(walk.first + 1) - xs(walk.first)) * 0.7)), seen = new Map();
  for (let i = 0; i < walk.length; i++) {
    const at = Math.round(xs(walk.first + i)), bin = seen.get(at) || [0, 0];
    if (has(walk.offset + i, "wrong")) bin[0]++; else if (has(walk.offset + i, "right")) bin[1]++;
    seen.set(at, bin);
  }
  let right = "", wrong = "";
  for (const [x, [bad, good]] of seen) {
    const share = bad / (bad + good || 1);
    if (bad) wrong += `M${x - width / 2},${base}h${width}v${-18 * share}h${-width}z`;
    else if (good) right += `M${x - width / 2},${base}h${width}v-4h${-width}z`;
  }
  if (!right && !wrong) return;
  root.append(s("path", { d: right, fill: "var(--good)" }), s("path", { d: wrong, fill: "var(--bad)" }),
    s("text", { x: area.left - 8, y: base - 2, "text-anchor": "end" }, "wrong"));
}

// Below the axis where scores are amounts: a bar for each step, the worst of those that share a pixel.
function drawErrors(root, walk, xs, area) {
  const base = area.bottom + 52, width = Math.max(1, Math.min(8, (xs(walk.first + 1) - xs(walk.first)) * 0.7)), worst = new Map();
  let most = 0;
  for (let i = 0; i < walk.length; i++) {
    const score = Math.abs(COLUMNS.score[walk.offset + i]), at = Math.round(xs(walk.first + i));
    if (!Number.isNaN(score)) { worst.set(at, Math.max(score, worst.get(at) || 0)); most = Math.max(most, score); }
  }
  const bars = [...worst].map(([x, score]) => `M${x - width / 2},${base}h${width}v${-24 * score / (most || 1)}h${-width}z`).join("");
  root.append(s("path", { d: bars, fill: "var(--bad)", opacity: 0.75 }), s("text", { x: area.left - 8, y: base - 2, "text-anchor": "end" }, shorten(HEAD.metric.name.split("[")[0], 7)));
}

function moveCursor() {
  const box = byId("timeline");
  for (const { root, area, xs } of [timelineFrame, byId("values").hidden ? null : valuesFrame].filter(Boolean)) {
    const x = xs(timeOf(chosen.step, chosen.walk)), bottom = root.parentElement === box ? area.bottom + 54 : area.bottom;
    root.querySelector(".cursor").replaceChildren(s("path", { d: `M${x},${area.top}V${bottom}`, stroke: "var(--accent)", "stroke-width": 1.5 }),
      s("path", { d: `M${x - 5},${area.top - 6}h10l-5,6z`, fill: "var(--accent)" }));
  }
  box.setAttribute("aria-valuenow", timeOf(chosen.step, chosen.walk));
  box.setAttribute("aria-valuemin", chosen.walk.first);
  box.setAttribute("aria-valuemax", chosen.walk.first + chosen.walk.length - 1);
  box.setAttribute("aria-valuetext", `step ${timeOf(chosen.step, chosen.walk)}`);
}

function startTimeline() {
  const box = byId("timeline"), at = (event) => {
    const { walk } = chosen, value = timelineFrame.xs.back(event.clientX - timelineFrame.root.getBoundingClientRect().left);
    return walk.offset + Math.max(0, Math.min(walk.length - 1, Math.round(value) - walk.first));
  };
  byId("walk-legend").replaceChildren(...EVENTS.map(([, text, shape, colour]) => h("span", {}, s("svg", { viewBox: "0 0 14 12" }, eventMark(shape, colour, 7, 6)), text)));
  let last = null;
  onChoice(() => { if (chosen.walk !== last) { last = chosen.walk; drawTimeline(); noteWalk(); } else moveCursor(); });
  keepDrawn(box, () => { if (chosen.walk) drawTimeline(); });
  for (const chart of [box, byId("values")]) {
    chart.addEventListener("click", (event) => choose(at(event), "timeline"));
    chart.addEventListener("pointermove", (event) => showTip(event, timelineTip(at(event))));
    chart.addEventListener("pointerleave", hideTip);
  }
  box.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10 }[event.key], { walk } = chosen;
    if (!move) return;
    event.preventDefault();
    choose(Math.max(walk.offset, Math.min(walk.offset + walk.length - 1, chosen.step + move)), "timeline");
  });
}

function timelineTip(i) {
  const told = [`step ${timeOf(i)}`], length = COLUMNS.length[i];
  if (COLUMNS.said[i] || COLUMNS.truth[i]) told.push(`said ${HEAD.texts[COLUMNS.said[i]] || "nothing"}, true ${HEAD.texts[COLUMNS.truth[i]] || "unknown"}`);
  if (length >= 0) told.push(`memory ${plain(length)} tokens`);
  for (const [flag, text] of EVENTS) if (has(i, flag)) told.push(text);
  return told.join("\n");
}

function noteWalk() {
  const { walk } = chosen, end = walk.offset + walk.length;
  let right = 0, wrong = 0;
  for (let i = walk.offset; i < end; i++) { right += has(i, "right"); wrong += has(i, "wrong"); }
  const name = `${HEAD.arms[walk.arm].label}, ${walk.sequence}${seeded() ? `, seed ${walk.seed}` : ""}`;
  byId("walk-note").textContent = `${name}: ${walk.length.toLocaleString("en-US")} steps` + (right + wrong ? `, ${scored(right / (right + wrong))} right` : "")
    + (walk.error ? `. Broke off: ${walk.error}` : "") + ". Click a step to open it below.";
}
