// A task with numbers: what was said against what came true, along the chosen walk.
const numberIn = (index) => { const text = HEAD.texts[index], value = Number(text); return text === "" || !(Math.abs(value) < 1e300) ? null : value; };

let valuesFrame = null;

function drawValues() {
  const { walk } = chosen, box = byId("values"), at = [...Array(walk.length).keys()];
  const said = at.map((i) => numberIn(COLUMNS.said[walk.offset + i])), truth = at.map((i) => numberIn(COLUMNS.truth[walk.offset + i]));
  const known = [...said, ...truth].filter((v) => v !== null);
  box.hidden = truth.every((v) => v === null);
  if (box.hidden) return;
  const low = known.reduce((a, b) => Math.min(a, b)), high = known.reduce((a, b) => Math.max(a, b)), room = (high - low || 1) * 0.06;
  valuesFrame = frame(box, {
    margin: { left: 46, right: 14, top: 22, bottom: 28 }, xTitle: "", yTitle: `said and true${HEAD.metric.unit ? ` (${HEAD.metric.unit})` : ""}`,
    x: (a, b) => linear(walk.first, walk.first + Math.max(walk.length - 1, 1), a + 4, b - 4), y: (a, b) => linear(low - room, high + room, a, b), yCount: 4,
  });
  const { root, area, xs, ys } = valuesFrame;
  const line = (values, colour, width) => {
    let path = "", open = false;
    values.forEach((value, i) => {
      if (value !== null) path += `${open ? "L" : "M"}${xs(walk.first + i).toFixed(1)},${ys(value).toFixed(1)}`;
      open = value !== null;
    });
    return s("path", { d: path, fill: "none", stroke: colour, "stroke-width": width, "stroke-linejoin": "round" });
  };
  root.append(line(truth, "var(--floor)", 3), line(said, styleOf(walk.arm).colour, 1.5),
    s("text", { class: "label", x: area.right, y: 11, "text-anchor": "end", style: "fill:var(--floor)" }, "true"),
    s("text", { class: "label", x: area.right - 40, y: 11, "text-anchor": "end", style: `fill:${styleOf(walk.arm).colour}` }, "said"),
    s("g", { class: "cursor" }));
}
