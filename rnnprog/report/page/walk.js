// Which walk and which step are being looked at; everything that shows them listens.
const chosen = { walk: null, step: -1 };
const listeners = [];
const onChoice = (listener) => listeners.push(listener);

function choose(step, why = "") {
  if (step < 0 || step >= HEAD.steps) return;
  chosen.step = step;
  chosen.walk = walkOf(step);
  for (const listener of listeners) listener(why);
}

function options(select, values, current) {
  select.replaceChildren(...values.map(([value, text]) => h("option", { value, selected: String(value) === String(current) }, text)));
}

// Three selectors that name one walk; a choice above narrows the ones below.
function startWalk() {
  const arm = byId("walk-arm"), seed = byId("walk-seed"), sequence = byId("walk-sequence");
  const unique = (values) => [...new Set(values)];
  const among = () => HEAD.walks.filter((walk) => walk.length && walk.arm === chosen.walk.arm);
  const show = () => {
    const walks = among(), { walk } = chosen;
    options(arm, unique(HEAD.walks.filter((w) => w.length).map((w) => w.arm)).map((a) => [a, HEAD.arms[a].label]), walk.arm);
    options(seed, unique(walks.map((w) => w.seed)).map((v) => [v, v]), walk.seed);
    options(sequence, walks.filter((w) => w.seed === walk.seed).map((w) => [w.index, w.sequence]), walk.index);
    seed.parentElement.hidden = seed.options.length < 2;
    arm.parentElement.hidden = arm.options.length < 2;
  };
  const go = (wanted) => {
    const keep = (w) => (w.sequence === chosen.walk.sequence ? 2 : 0) + (w.seed === chosen.walk.seed ? 1 : 0);
    const found = HEAD.walks.filter((w) => w.length && wanted(w)).sort((a, b) => keep(b) - keep(a))[0];
    if (found) choose(found.offset + Math.min(chosen.step - chosen.walk.offset, found.length - 1), "walk");
  };
  arm.addEventListener("change", () => go((w) => w.arm === Number(arm.value)));
  seed.addEventListener("change", () => go((w) => w.arm === chosen.walk.arm && w.seed === Number(seed.value)));
  sequence.addEventListener("change", () => go((w) => w.index === Number(sequence.value)));
  let last = null;
  onChoice(() => { if (chosen.walk !== last) { last = chosen.walk; show(); } });
}
