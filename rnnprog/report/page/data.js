// The data of the page: small columns at once, the texts of the steps block by block when they are asked for.
let HEAD = null;
let COLUMNS = null;
const KEPT_BLOCKS = 24;
const opened = new Map();

function bytesOf(id) {
  const text = byId(`data-${id}`).textContent;
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

async function unpack(id) {
  const packed = bytesOf(id);
  if (typeof DecompressionStream === "undefined") return inflate(packed);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpackJson(id) { return JSON.parse(new TextDecoder().decode(await unpack(id))); }

async function openData() {
  HEAD = await unpackJson("head");
  const bytes = await unpack("columns"), n = HEAD.steps;
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const layout = [["score", Float32Array], ["length", Int32Array], ["sent", Uint32Array], ["received", Uint32Array],
    ["said", Uint32Array], ["truth", Uint32Array], ["flags", Uint16Array], ["calls", Uint16Array]];
  let offset = 0;
  COLUMNS = {};
  for (const [name, type] of layout) {
    COLUMNS[name] = new type(buffer, offset, n);
    offset += n * type.BYTES_PER_ELEMENT;
  }
  HEAD.walks = HEAD.walks.map(([arm, seed, sequence, offset, length, first, error], index) =>
    ({ index, arm, seed, sequence, offset, length, first, error }));
}

// Blocks are kept for a while: stepping through neighbours opens each once.
function openBlock(id) {
  if (!opened.has(id)) opened.set(id, unpackJson(id));
  const found = opened.get(id);
  opened.delete(id); opened.set(id, found);
  if (opened.size > KEPT_BLOCKS) opened.delete(opened.keys().next().value);
  return found;
}

async function stepTexts(i) {
  const block = await openBlock(`steps-${Math.floor(i / HEAD.block)}`), step = block.r[i % HEAD.block];
  const lines = (numbers) => (numbers ? numbers.map((k) => block.s[k]) : null);
  return { ...step, before: lines(step.c), updates: step.k.map((u) => ({ ...u, lines: lines(u.c) })) };
}

async function stepPrompts(i) {
  return (await openBlock(`prompts-${Math.floor(i / HEAD.block)}`))[i % HEAD.block] || [];
}

function walkOf(i) {
  let low = 0, high = HEAD.walks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (HEAD.walks[middle].offset <= i) low = middle; else high = middle - 1;
  }
  return HEAD.walks[low];
}

const has = (i, name) => (COLUMNS.flags[i] & HEAD.flags[name]) !== 0;
const timeOf = (i, walk = walkOf(i)) => walk.first + i - walk.offset;
