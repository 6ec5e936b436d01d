// One colour, dash and shape for each arm, the same in every chart; no two of 24 arms share all three. Colours are told apart by colour-blind readers too.
const DASHES = ["", "7 3", "2 3"];
function styleOf(arm) {
  const { role } = HEAD.arms[arm];
  if (role === "control") return { colour: "var(--control)", dash: "6 3", shape: 0 };
  if (role === "floor") return { colour: "var(--floor)", dash: "2 4", shape: 0 };
  const rank = HEAD.arms.slice(0, arm).filter((other) => other.role === "arm").length;
  return { colour: `var(--arm${rank % 8})`, dash: DASHES[Math.floor(rank / 8) % 3], shape: (rank + Math.floor(rank / 8)) % 4 };
}

function shapePath(shape, x, y, r) {
  if (shape === 1) return `M${x - r},${y - r}h${2 * r}v${2 * r}h${-2 * r}z`;
  if (shape === 2) return `M${x},${y - 1.25 * r}l${1.2 * r},${2.1 * r}h${-2.4 * r}z`;
  if (shape === 3) return `M${x},${y - 1.35 * r}l${1.35 * r},${1.35 * r}l${-1.35 * r},${1.35 * r}l${-1.35 * r},${-1.35 * r}z`;
  return `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0z`;
}
