// From values to pixels, and the round values at which an axis is marked.
function ticks(low, high, wanted) {
  const span = high - low || 1, rough = span / Math.max(wanted, 1), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((size) => size >= rough) || power;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

function linear(low, high, from, to) {
  const span = high - low || 1, scale = (value) => from + ((value - low) / span) * (to - from);
  scale.back = (pixel) => low + ((pixel - from) / (to - from || 1)) * span;
  scale.ticks = (wanted) => ticks(low, high, wanted);
  return scale;
}

function logarithmic(low, high, from, to) {
  const inner = linear(Math.log10(low), Math.log10(high), from, to), scale = (value) => inner(Math.log10(value));
  scale.ticks = () => {
    const found = [], steps = Math.log10(high / low) > 2.5 ? [1] : [1, 2, 5];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
      for (const m of steps) { const value = m * 10 ** power; if (value >= low && value <= high) found.push(value); }
    return found;
  };
  return scale;
}

// Labels pushed apart so that none covers another.
function spread(labels, gap, top, bottom) {
  const sorted = [...labels].sort((a, b) => a.y - b.y);
  for (let i = 0; i < sorted.length; i++) sorted[i].at = Math.max(sorted[i].y, i ? sorted[i - 1].at + gap : top);
  for (let i = sorted.length - 1; i >= 0; i--) {
    const limit = i === sorted.length - 1 ? bottom : sorted[i + 1].at - gap;
    sorted[i].at = Math.min(sorted[i].at, limit);
  }
  return sorted;
}
