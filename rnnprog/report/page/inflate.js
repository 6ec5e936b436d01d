// Raw DEFLATE (RFC 1951) for browsers that have no DecompressionStream.
const LENGTHS = [3,4,5,6,7,8,9,10,11,13,15,17,19,23,27,31,35,43,51,59,67,83,99,115,131,163,195,227,258];
const LENGTH_BITS = [0,0,0,0,0,0,0,0,1,1,1,1,2,2,2,2,3,3,3,3,4,4,4,4,5,5,5,5,0];
const DISTANCES = [1,2,3,4,5,7,9,13,17,25,33,49,65,97,129,193,257,385,513,769,1025,1537,2049,3073,4097,6145,8193,12289,16385,24577];
const DISTANCE_BITS = [0,0,0,0,1,1,2,2,3,3,4,4,5,5,6,6,7,7,8,8,9,9,10,10,11,11,12,12,13,13];
const CODE_ORDER = [16,17,18,0,8,7,9,6,10,5,11,4,12,3,13,2,14,1,15];

function huffman(lengths) {
  const count = new Uint16Array(16), symbols = [], next = new Uint16Array(16);
  for (const length of lengths) count[length]++;
  count[0] = 0;
  for (let i = 1; i < 16; i++) next[i] = next[i - 1] + count[i - 1];
  lengths.forEach((length, symbol) => { if (length) symbols[next[length]++] = symbol; });
  return { count, symbols };
}

function inflate(source) {
  let position = 0, bits = 0, held = 0, out = new Uint8Array(source.length * 4), size = 0;
  const take = (n) => {
    while (held < n) { bits |= source[position++] << held; held += 8; }
    const value = bits & ((1 << n) - 1);
    bits >>>= n; held -= n;
    return value;
  };
  const symbol = ({ count, symbols }) => {
    let code = 0, first = 0, index = 0;
    for (let length = 1; length < 16; length++) {
      code |= take(1);
      if (code - count[length] < first) return symbols[index + code - first];
      index += count[length]; first = (first + count[length]) << 1; code <<= 1;
    }
    throw new Error("damaged data");
  };
  const room = (n) => {
    if (size + n <= out.length) return;
    const larger = new Uint8Array(Math.max(out.length * 2, size + n));
    larger.set(out.subarray(0, size));
    out = larger;
  };
  const tables = () => {
    const literals = take(5) + 257, distances = take(5) + 1, codes = take(4) + 4, lengths = new Array(19).fill(0);
    for (let i = 0; i < codes; i++) lengths[CODE_ORDER[i]] = take(3);
    const table = huffman(lengths), all = [];
    while (all.length < literals + distances) {
      const code = symbol(table);
      if (code < 16) all.push(code);
      else {
        const value = code === 16 ? all[all.length - 1] : 0;
        const repeat = code === 16 ? 3 + take(2) : code === 17 ? 3 + take(3) : 11 + take(7);
        for (let i = 0; i < repeat; i++) all.push(value);
      }
    }
    return [huffman(all.slice(0, literals)), huffman(all.slice(literals))];
  };
  const fixed = () => [
    huffman(Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8))),
    huffman(new Array(30).fill(5)),
  ];
  for (let last = 0; !last; ) {
    last = take(1);
    const kind = take(2);
    if (kind === 0) {
      bits = held = 0;
      const length = source[position] | (source[position + 1] << 8);
      position += 4; room(length);
      out.set(source.subarray(position, position + length), size);
      position += length; size += length;
      continue;
    }
    const [literals, distances] = kind === 1 ? fixed() : tables();
    for (let code = symbol(literals); code !== 256; code = symbol(literals)) {
      if (code < 256) { room(1); out[size++] = code; continue; }
      const length = LENGTHS[code - 257] + take(LENGTH_BITS[code - 257]), far = symbol(distances);
      const from = size - DISTANCES[far] - take(DISTANCE_BITS[far]);
      room(length);
      for (let i = 0; i < length; i++) out[size++] = out[from + i];
    }
  }
  return out.subarray(0, size);
}
