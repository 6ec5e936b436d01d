// Two versions of a memory line by line, and a changed line word by word.
const MOST_CELLS = 4e6;

// Longest common subsequence of two lists, as pairs of marks and entries.
function compare(before, after) {
  let start = 0, end = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  while (end < before.length - start && end < after.length - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  const a = before.slice(start, before.length - end), b = after.slice(start, after.length - end), rows = before.slice(0, start).map((x) => [" ", x]);
  if (a.length * b.length > MOST_CELLS) rows.push(...a.map((x) => ["-", x]), ...b.map((x) => ["+", x]));
  else rows.push(...aligned(a, b));
  return rows.concat(before.slice(before.length - end).map((x) => [" ", x]));
}

function aligned(a, b) {
  const w = b.length + 1, best = new Uint16Array((a.length + 1) * w), rows = [];
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      best[i * w + j] = a[i] === b[j] ? best[(i + 1) * w + j + 1] + 1 : Math.max(best[(i + 1) * w + j], best[i * w + j + 1]);
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { rows.push([" ", a[i]]); i++; j++; }
    else if (j >= b.length || (i < a.length && best[(i + 1) * w + j] >= best[i * w + j + 1])) rows.push(["-", a[i++]]);
    else rows.push(["+", b[j++]]);
  }
  return rows;
}

const wordsOf = (line) => line.split(/(\s+|[.,;:()])/).filter(Boolean);

// A removed line and an added one that share at least half of their words are one changed line.
function changedWords(minus, plus) {
  const rows = compare(wordsOf(minus), wordsOf(plus)), same = rows.filter(([mark, word]) => mark === " " && word.trim()).length;
  if (same * 2 < Math.min(wordsOf(minus).length, wordsOf(plus).length) / 2) return null;
  const side = (mark) => rows.filter(([m]) => m === " " || m === mark).map(([m, word]) => (m === mark ? h("b", {}, word) : word));
  return [side("-"), side("+")];
}

function diffView(before, after) {
  const rows = compare(before, after), box = h("div", { class: "diff" });
  const paired = new Map();
  for (let i = 0; i < rows.length; i++) {
    if (rows[i][0] === " ") continue;
    let end = i;
    while (end < rows.length && rows[end][0] !== " ") end++;
    const run = [...Array(end - i).keys()].map((k) => k + i), minus = run.filter((k) => rows[k][0] === "-"), plus = run.filter((k) => rows[k][0] === "+");
    for (const m of minus) for (const p of plus) {
      if (paired.has(p) || paired.has(m)) continue;
      const words = rows[m][1][0] === rows[p][1][0] && changedWords(rows[m][1].slice(1), rows[p][1].slice(1));
      if (words) { paired.set(m, words[0]); paired.set(p, words[1]); }
    }
    i = end;
  }
  rows.forEach(([mark, line], k) => box.append(h("div", {
    class: `${{ "+": "plus", "-": "minus", " ": "same" }[mark]}${line[0] === "#" ? " heading" : ""}`, "data-mark": mark === " " ? "" : mark === "-" ? "−" : mark,
  }, h("span", { class: "hidden" }, { "+": "added: ", "-": "removed: ", " ": "" }[mark]), paired.get(k) || found(line.slice(1)))));
  if (!rows.length) box.append(h("div", { class: "same" }, "(empty)"));
  return box;
}
const linesView = (lines) => diffView(lines, lines);
