// The frame that all charts share: axes with titles, a quiet grid, a tip that follows the pointer.
function frame(box, { margin, x, y, xTitle, yTitle, xText = plain, yText = plain, xCount, yCount = 5 }) {
  const width = box.clientWidth || 600, height = box.clientHeight || 300;
  const area = { left: margin.left, right: width - margin.right, top: margin.top, bottom: height - margin.bottom };
  const xs = x(area.left, area.right), ys = y(area.bottom, area.top);
  const root = s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  for (const value of ys.ticks(yCount)) {
    const at = ys(value);
    root.append(s("line", { class: "grid", x1: area.left, x2: area.right, y1: at, y2: at }),
      s("text", { x: area.left - 8, y: at + 4, "text-anchor": "end" }, yText(value)));
  }
  for (const value of xs.ticks(xCount || Math.max(2, (area.right - area.left) / 90)))
    root.append(s("line", { class: "axis", x1: xs(value), x2: xs(value), y1: area.bottom, y2: area.bottom + 4 }),
      s("text", { x: xs(value), y: area.bottom + 18, "text-anchor": "middle" }, xText(value)));
  root.append(s("path", { class: "axis", d: `M${area.left},${area.bottom}H${area.right}` }),
    s("text", { x: (area.left + area.right) / 2, y: area.bottom + 36, "text-anchor": "middle" }, xTitle),
    s("text", { x: 0, y: 11, "text-anchor": "start" }, yTitle));
  box.replaceChildren(root);
  return { root, area, xs, ys, width, height };
}

function showTip(event, text) {
  const tip = byId("tip");
  tip.textContent = text;
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
  tip.style.top = `${event.clientY + 16 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 16}px`;
}
const hideTip = () => { byId("tip").hidden = true; };

// Redraw when the box changes its width; a chart drawn for another width would be stretched.
function keepDrawn(box, draw) {
  let last = 0;
  new ResizeObserver(() => {
    if (Math.abs(box.clientWidth - last) < 2) return;
    last = box.clientWidth;
    draw();
  }).observe(box);
}

function pad(low, high, share) {
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return share ? [Math.max(0, low - room), Math.min(1, high + room)] : [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
}
