const FEW = 8; // points that can bear their names; of more, a legend below has them

// What a score costs: tokens per step across, the score with its interval upwards, floors as lines because they ask no model.
function drawCost() {
  const box = byId("cost"), known = HEAD.arms.map((arm, index) => ({ ...arm, index })).filter((arm) => arm.score !== null);
  const points = known.filter((arm) => arm.tokens > 0), floors = known.filter((arm) => arm.tokens === 0);
  box.closest("section").hidden = points.length < 2;
  if (points.length < 2) return;
  const values = known.flatMap((arm) => [arm.score, arm.lo, arm.hi]).filter((v) => v !== null && v !== undefined);
  const [bottom, top] = pad(Math.min(...values), Math.max(...values), HEAD.metric.share);
  const least = Math.min(...points.map((p) => p.tokens)), most = Math.max(...points.map((p) => p.tokens));
  const { root, area, xs, ys } = frame(box, {
    margin: { left: 46, right: 20, top: 22, bottom: 42 }, xTitle: "tokens per step, sent and received (log scale)", yTitle: scoreTitle(),
    yText: (v) => (HEAD.metric.share ? plain(100 * v) : plain(v)),
    x: (a, b) => logarithmic(least / 1.6, most * 1.9, a, b), y: (a, b) => linear(bottom, top, a, b),
  });
  const wide = box.clientWidth > 460 && points.length <= FEW;
  const crowded = (y) => points.some((p) => xs(p.tokens) > area.right - 190 && Math.abs(ys(p.score) - y + 6) < 18);
  for (const label of spread(floors.map((floor) => ({ ...floor, y: ys(floor.score) })), 14, area.top, area.bottom)) {
    const start = crowded(label.at);
    root.append(s("path", { d: `M${area.left},${label.y}H${area.right}`, stroke: "var(--floor)", "stroke-dasharray": "2 4" }));
    if (wide) root.append(s("text", { x: start ? area.left + 6 : area.right, y: label.at - 4, "text-anchor": start ? "start" : "end" }, `${shorten(label.label, 30)} (no model)`));
  }
  const taken = points.map((arm) => ({ from: xs(arm.tokens) - 8, width: 16, y: ys(arm.score) }));
  box.parentElement.querySelector(".legend")?.remove();
  if (wide) for (const arm of points) root.append(costLabel(arm, xs, ys, area, taken));
  else box.after(costLegend(points));
  for (const arm of points) root.append(costPoint(arm, xs, ys));
  byId("cost-note").textContent = `${HEAD.metric.higher ? "Up" : "Down"} and to the left is better.`
    + " Whiskers: the intervals of the table."
    + (floors.length && !wide ? ` Dotted, from the top, without a model: ${[...floors].sort((a, b) => b.score - a.score).map((floor) => floor.label).join(", ")}.` : "");
}

const costLegend = (points) => h("div", { class: "legend" }, points.map((arm) => {
  const { colour, shape } = styleOf(arm.index);
  return h("span", {}, s("svg", { viewBox: "0 0 20 12" }, s("path", { d: shapePath(shape, 10, 6, 5), fill: colour })), arm.label);
}));

function costPoint(arm, xs, ys) {
  const { colour, shape } = styleOf(arm.index), x = xs(arm.tokens), y = ys(arm.score), group = s("g", {});
  if (arm.lo !== null && arm.lo !== undefined) group.append(s("path", { d: `M${x},${ys(arm.lo)}V${ys(arm.hi)}`, stroke: colour, "stroke-width": 1.5 }));
  group.append(s("path", { class: "halo", d: shapePath(shape, x, y, 6), fill: colour }),
    s("circle", { cx: x, cy: y, r: 16, fill: "transparent" }));
  group.addEventListener("pointermove", (event) => showTip(event, `${arm.label}\n${HEAD.metric.name}: ${scored(arm.score)}${within(arm.lo, arm.hi)}\n${plain(arm.tokens)} tokens and ${plain(arm.calls)} calls per step`));
  group.addEventListener("pointerleave", hideTip);
  return group;
}

// Beside its point, on the side that has room; moved up or down while it would cover another label.
function costLabel(arm, xs, ys, area, taken) {
  const x = xs(arm.tokens), text = shorten(arm.label, 28), width = 7 * text.length, left = x + 12 + width > area.right;
  const box = { from: left ? x - 12 - width : x + 12, y: ys(arm.score) };
  const covers = () => taken.some((other) => Math.abs(other.y - box.y) < 15 && box.from < other.from + other.width && other.from < box.from + width);
  const outside = () => box.y < area.top || box.y > area.bottom - 6;
  for (let tries = 1; (covers() || outside()) && tries < 24; tries++) box.y = ys(arm.score) + (tries % 2 ? -8 : 8) * tries;
  taken.push({ ...box, width });
  return s("text", { class: "label", x: left ? x - 12 : x + 12, y: box.y + 4, "text-anchor": left ? "end" : "start", style: `fill:${styleOf(arm.index).colour}` }, text);
}
