// One step in full: what was seen, said and true; then each update with its evidence, critique and change of memory.
function fields(values) {
  const pairs = Object.entries(values || {});
  if (!pairs.length) return h("p", { class: "note" }, "none");
  return h("dl", { class: "fields" }, pairs.map(([name, value]) => [h("dt", {}, found(name)), h("dd", {}, found(asText(value)))]));
}

const MOST_MARKS = 2000;

// The words of the search, marked where they stand.
function found(text) {
  const words = filters.text.trim().toLowerCase(), small = text.toLowerCase(), parts = [];
  if (!words || small.length !== text.length) return [text]; // a few letters grow when made small, and places shift
  let from = 0;
  for (let at = small.indexOf(words); at >= 0 && parts.length < MOST_MARKS; at = small.indexOf(words, from)) {
    parts.push(text.slice(from, at), h("mark", {}, text.slice(at, at + words.length)));
    from = at + words.length;
  }
  return [...parts, text.slice(from)];
}

const badge = (text, kind = "") => h("span", { class: `badge ${kind}` }, text);
const usageText = (usage) => Object.entries(usage || {}).map(([phase, [calls, sent, received]]) =>
  `${phase}: ${calls} call${calls === 1 ? "" : "s"}, ${plain(sent)} tokens in, ${plain(received)} out`).join(" · ");

function failureView([phase, error, raw, attempts]) {
  return [h("p", {}, `The ${phase} gave no usable answer after ${attempts} attempt${attempts === 1 ? "" : "s"}: `, found(error)), raw && h("pre", { tabindex: 0 }, found(raw))];
}

function feedbackText(feedback) {
  const told = [feedback.kind];
  if (feedback.correct !== undefined) told.push(feedback.correct ? "right" : "wrong");
  if (feedback.score !== undefined) told.push(`score ${plain(feedback.score)}`);
  return told.join(", ");
}

function updateView(update, before, step) {
  const own = update.of === step.t, late = own ? "this step" : Number.isInteger(update.of) ? `step ${update.of}, which came late` : `prediction ${update.of}`;
  const unchanged = update.lines && before && update.lines.join("\n") === before.join("\n");
  return h("div", { class: "update" },
    h("h3", {}, `Learning ${update.w === "before" ? "before the answer" : "after the answer"}, about ${late}: ${update.op}`),
    update.fb && [h("dl", { class: "fields" }, h("dt", {}, "feedback"), h("dd", {}, feedbackText(update.fb)), update.fb.text && [h("dt", {}, "evidence"), h("dd", {}, found(update.fb.text))])],
    update.cr && [h("h3", {}, "Critique"), fields(update.cr)],
    update.f && [h("h3", {}, "Failure"), failureView(update.f)],
    update.v && [h("h3", {}, "Guard"), h("dl", { class: "fields" }, update.v.map(([check, decision, reason]) => [h("dt", {}, check), h("dd", {}, [badge(decision.replace("_", " "), decision === "accept" ? "good" : "bad"), reason ? ` ${reason}` : ""])]))],
    update.x && [h("h3", {}, "Dropped to stay within the budget"), h("ul", {}, update.x.map(([section, text]) => h("li", {}, `${section}: `, found(text))))],
    h("h3", {}, "Memory" + (update.n !== undefined ? `, ${plain(update.n)} tokens` : "") + (unchanged ? ", unchanged" : "")),
    update.lines ? diffView(before || [], update.lines) : h("p", { class: "note" }, "not recorded at this step"),
    update.u && h("p", { class: "note" }, usageText(update.u)));
}

let detailRun = 0;
async function showDetail() {
  const i = chosen.step, walk = chosen.walk, run = ++detailRun, step = await stepTexts(i);
  if (run !== detailRun) return;
  const box = byId("detail"), arm = HEAD.arms[walk.arm], score = COLUMNS.score[i];
  let memory = step.before;
  const updates = step.updates.map((update) => { const view = updateView(update, memory, step); memory = update.lines; return view; });
  const first = step.updates.filter((u) => u.w === "before").length;
  const read = first ? step.updates[first - 1].lines : step.before;
  refill(box,
    h("h2", {}, `${arm.label} · ${walk.sequence} · step ${step.t}`),
    h("div", { class: "badges" },
      has(i, "right") && badge("right", "good"), has(i, "wrong") && badge("wrong", "bad"), has(i, "failed") && badge("failed", "bad"),
      !HEAD.metric.binary && !Number.isNaN(score) && badge(`${HEAD.metric.name} ${scored(score)}`), has(i, "late") && badge("late feedback"),
      step.T !== undefined && badge(asText(step.T)), walk.seed !== 0 && badge(`seed ${walk.seed}`)),
    updates.slice(0, first),
    h("div", { class: "trio" }, h("div", {}, h("h3", {}, "Observation"), fields(step.i)), h("div", {}, h("h3", {}, "Prediction"), fields(step.p)), h("div", {}, h("h3", {}, "Truth"), fields(step.y))),
    step.f && [h("h3", {}, "Failure"), failureView(step.f)],
    step.u && h("p", { class: "note" }, usageText(step.u)),
    read && (first || !updates.length) ? [h("h3", {}, "Memory that the answer was given from"), linesView(read)] : null,
    updates.slice(first), promptsView(i));
  box.scrollTop = 0;
}
function startDetail() { onChoice(() => { showDetail(); }); }
