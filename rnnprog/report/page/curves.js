// Arms that draw the very same line share one, under the name of the control if it is among them: bands laid over each
// other would darken into a colour of nobody's.
function together(curves) {
  const groups = new Map();
  for (const curve of curves) {
    const key = JSON.stringify([curve.x, curve.y, curve.lo, curve.hi]);
    groups.set(key, [...(groups.get(key) || []), curve]);
  }
  return [...groups.values()].map((group) => {
    const labels = group.map((curve) => HEAD.arms[curve.arm].label), first = group.find((curve) => HEAD.arms[curve.arm].role === "control") || group[0];
    const name = HEAD.arms[first.arm].label, more = group.length - 1;
    return { ...first, name: more ? `${name} and ${more} more` : name, all: labels.join(", ") };
  });
}

// Lines with bands over the step index: the learning curve and the memory length.
function drawCurves(box, curves, { yTitle, yText, tipText, floors = [], zero = false, share = false }) {
  const solid = curves.filter((curve) => HEAD.arms[curve.arm].role !== "floor");
  const shown = together(solid.length ? solid : curves);
  if (!shown.length) { box.closest("section").hidden = true; return; }
  const wide = box.clientWidth > 460, flat = (pick) => shown.flatMap(pick).filter((v) => v !== null);
  const low = Math.min(...flat((c) => [...c.y, ...c.lo]), ...floors.map((f) => f.score));
  const high = Math.max(...flat((c) => [...c.y, ...c.hi]), ...floors.map((f) => f.score));
  const [bottom, top] = pad(zero ? 0 : low, high, share), last = Math.max(...shown.flatMap((c) => c.x));
  const longest = Math.max(...[...shown.map((c) => c.name), ...floors.map((f) => f.label)].map((name) => name.length));
  const room = Math.min(7.9 * longest + 22, 0.36 * box.clientWidth), letters = Math.floor((room - 20) / 7.7);
  const { root, area, xs, ys } = frame(box, {
    margin: { left: 46, right: wide ? room : 12, top: 22, bottom: 42 }, xTitle: "step of the sequence", yTitle, yText,
    x: (a, b) => linear(0, Math.max(last, 1), a, b), y: (a, b) => linear(bottom, top, a, b),
  });
  const labels = [];
  for (const floor of floors) {
    const at = ys(floor.score);
    root.append(s("path", { d: `M${area.left},${at}H${area.right}`, stroke: "var(--floor)", "stroke-dasharray": "2 4", fill: "none" }));
    labels.push({ y: at, text: floor.label, colour: "var(--floor)", dash: "2 4" });
  }
  for (const curve of shown) {
    const { colour } = styleOf(curve.arm), known = curve.x.map((_, i) => i).filter((i) => curve.lo[i] !== null);
    const edge = (side) => known.map((i) => `${xs(curve.x[i])},${ys(Math.max(bottom, Math.min(top, side[i])))}`);
    if (known.length > 1) root.append(s("path", { d: `M${edge(curve.hi).join("L")}L${edge(curve.lo).reverse().join("L")}Z`, fill: colour, class: "band", style: shown.length > 6 ? "opacity: 0.035" : "" })); // many bands on each other hide the lines
  }
  for (const curve of shown) {
    const { colour, dash } = styleOf(curve.arm), points = curve.x.map((x, i) => `${xs(x)},${ys(curve.y[i])}`);
    root.append(s("path", { d: `M${points.join("L")}`, fill: "none", stroke: colour, "stroke-width": 2, "stroke-dasharray": dash, "stroke-linejoin": "round", class: "line" }));
    labels.push({ y: ys(curve.y[curve.y.length - 1]), text: curve.name, title: curve.all, colour, dash });
  }
  if (wide) directLabels(root, labels, area, letters);
  box.parentElement.querySelector(".legend")?.remove();
  if (!wide) box.after(narrowLegend(labels));
  hoverCurves(root, box, shown, { area, xs, ys, tipText });
}

function directLabels(root, labels, area, letters) {
  for (const label of spread(labels, 15, area.top + 4, area.bottom))
    root.append(s("path", { d: `M${area.right + 3},${label.y}L${area.right + 12},${label.at}`, stroke: label.colour, fill: "none", opacity: 0.6 }),
      s("text", { class: "label", x: area.right + 16, y: label.at + 4, style: `fill:${label.colour}` }, shorten(label.text, letters), s("title", {}, label.title || label.text)));
}
const shorten = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const narrowLegend = (labels) => h("div", { class: "legend" }, labels.map((label) =>
  h("span", {}, s("svg", {}, s("path", { d: "M0,6H20", stroke: label.colour, "stroke-width": 2, "stroke-dasharray": label.dash || null })), label.text)));

function hoverCurves(root, box, curves, { area, xs, ys, tipText }) {
  const line = s("path", { class: "axis", opacity: 0 }), dots = s("g", {});
  root.append(line, dots);
  root.addEventListener("pointermove", (event) => {
    const at = xs.back(event.clientX - root.getBoundingClientRect().left), axis = curves[0].x;
    const k = axis.reduce((best, x, i) => (Math.abs(x - at) < Math.abs(axis[best] - at) ? i : best), 0);
    line.setAttribute("d", `M${xs(axis[k])},${area.top}V${area.bottom}`);
    line.setAttribute("opacity", 0.4);
    const here = curves.map((curve) => [curve, curve.x.indexOf(axis[k])]).filter(([, i]) => i >= 0);
    here.sort(([a, i], [b, j]) => b.y[j] - a.y[i]);
    dots.replaceChildren(...here.map(([curve, i]) => s("circle", { class: "halo", cx: xs(axis[k]), cy: ys(curve.y[i]), r: 4, fill: styleOf(curve.arm).colour })));
    const width = curves[0].w, first = Math.floor(axis[k] / width) * width, end = Math.max(...HEAD.walks.map((walk) => walk.length)) - 1;
    const title = width > 1 ? `steps ${first} to ${Math.min(first + width - 1, end)}` : `step ${first}`;
    showTip(event, [title, ...here.map(([curve, i]) => `${curve.name}: ${tipText(curve, i)}`)].join("\n"));
  });
  root.addEventListener("pointerleave", () => { line.setAttribute("opacity", 0); dots.replaceChildren(); hideTip(); });
}

function drawLearning() {
  const floors = HEAD.arms.filter((arm) => arm.role === "floor" && arm.score !== null);
  drawCurves(byId("learning"), HEAD.learning, {
    yTitle: scoreTitle(), share: HEAD.metric.share, floors,
    yText: (v) => (HEAD.metric.share ? plain(100 * v) : plain(v)),
    tipText: (c, i) => `${scored(c.y[i])}${within(c.lo[i], c.hi[i])} (${c.n[i].toLocaleString("en-US")} steps)`,
  });
  const width = HEAD.learning.length ? HEAD.learning[0].w : 1, banded = HEAD.learning.some((c) => c.lo.some((v) => v !== null));
  byId("learning-note").textContent = (width > 1 ? `Each point is the mean of ${width} steps. ` : "Mean at each step. ")
    + (banded ? "Band: 95 % interval of the mean over sequences (Student's t)." : "One sequence: no band can be given.")
    + (floors.length ? " Dotted: floors, over all steps." : "")
    + together(HEAD.learning.filter((c) => HEAD.arms[c.arm].role !== "floor")).filter((c) => c.all !== c.name).map((c) => ` The same line: ${c.all}.`).join("");
}

// With a single walk the timeline below shows the same, step by step.
function drawLengths() {
  const walks = HEAD.walks.filter((walk) => HEAD.arms[walk.arm].role !== "floor");
  if (walks.length < 2) { byId("lengths").closest("section").hidden = true; return; }
  drawCurves(byId("lengths"), HEAD.lengths, {
    yTitle: "memory length (tokens, mean)", zero: true, yText: plain,
    tipText: (c, i) => `${plain(c.y[i])} tokens`,
  });
}
