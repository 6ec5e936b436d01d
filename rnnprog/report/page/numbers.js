// Writing numbers as the tables do.
const plain = (value) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (Math.abs(value) >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
};
const scored = (value) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (HEAD.metric.share) return `${(100 * value).toFixed(1)} %`;
  return Number(value.toPrecision(4)) + (HEAD.metric.unit ? ` ${HEAD.metric.unit}` : "");
};
const within = (low, high) => (low === null || low === undefined ? "" : ` [${scored(low)}, ${scored(high)}]`);
const scoreTitle = () => HEAD.metric.name + (HEAD.metric.share ? " (%)" : HEAD.metric.unit ? ` (${HEAD.metric.unit})` : "");
