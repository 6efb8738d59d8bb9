/**
 * Runs inside the page (no imports: its text is sent there). Times products single-threaded and interleaved, beside the bare rates of the same moment.
 * @param {{ engine: string, bare: string, formats: {name: string, ggml: number, block: number, bytes: number, halves: number[]}[], shapes: [number, number][], tokens: number, pieces: number }} job
 */
export async function measure(job) {
  const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
  const engine = (await WebAssembly.instantiate(bytesOf(job.engine), { env: { memory } })).instance.exports;
  const bare = (await WebAssembly.instantiate(bytesOf(job.bare), { env: { memory } })).instance.exports;
  const semantics = engine.relaxedDot();
  const POOL = 160 << 20; // streamed weights: five times the last-level cache
  const pool = engine.alloc(POOL) >>> 0;
  const random = new Uint32Array(16384);
  for (let i = 0, s = 1; i < random.length; i++) random[i] = s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
  const noise = new Uint8Array(random.buffer);
  const widest = Math.max(...job.shapes.map(([, cols]) => cols));
  const x = engine.alloc(job.tokens * widest * 4) >>> 0;
  const xs = new Float32Array(memory.buffer, x, job.tokens * widest);
  for (let i = 0; i < xs.length; i++)
    xs[i] = ((noise[(i * 7) & 65535] - 128) * (1 + (noise[(i * 13) & 65535] & 3))) / 128;
  const activations = engine.alloc(engine.activationBytes(job.tokens + 5, widest)) >>> 0;
  const out = engine.alloc(job.tokens * 65536) >>> 0;
  const scratch = engine.alloc(engine.matmulScratchBytes()) >>> 0;
  const staging = engine.alloc(16 * widest * 4) >>> 0;

  /** Fills the pool with copies of one tile of random blocks. */
  const fill = (format, cols) => {
    const rowBytes = (cols / format.block) * format.bytes;
    const file = new Uint8Array(memory.buffer, staging, 16 * rowBytes);
    for (let i = 0; i < file.length; i++) file[i] = noise[(i * 31 + (i >> 8)) & 65535];
    if (format.name === 'F32')
      new Float32Array(memory.buffer, staging, 16 * cols).forEach((_, i, a) => {
        a[i] = (noise[i & 65535] - 128) / 1000;
      });
    for (let at = 0; at < file.length; at += format.bytes)
      for (const h of format.halves) {
        file[at + h] = noise[at & 65535];
        file[at + h + 1] = 0x28;
      }
    const tile = engine.packedBytes(format.ggml, 16, cols);
    engine.packRows(pool, staging, format.ggml, 0, 16, 16, cols);
    const all = new Uint8Array(memory.buffer, pool, POOL);
    let have = tile;
    const whole = Math.floor(POOL / tile) * tile;
    while (have < whole) {
      const n = Math.min(have, whole - have);
      all.copyWithin(have, 0, n);
      have += n;
    }
    return tile;
  };
  const time = (body) => {
    const t = performance.now();
    body();
    return performance.now() - t;
  };
  // Pieces of about a millisecond, shorter than a scheduler's slice: other processes only ever slow a piece down, so the fast tenth is the kernel's own.
  const fast = (pieces, body) => {
    const times = Array.from({ length: pieces }, (_, i) => time(() => body(i))).sort((p, q) => p - q);
    return times[Math.floor(pieces / 10)];
  };
  const rest = () =>
    new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  const PIECE = 4 << 20;
  const pieces = job.pieces;
  const rates = { read: [], cached: [], dots: [], loaded: [] };
  const bareRates = () => {
    rates.read.push(PIECE / fast(pieces, (i) => bare.read(pool + (i % (POOL / PIECE)) * PIECE, PIECE)) / 1e6);
    rates.cached.push(
      (2000 * 16384) /
        fast(pieces, () => {
          for (let i = 0; i < 2000; i++) bare.read(pool, 16384);
        }) /
        1e6,
    );
    rates.dots.push((12 * 16 * 4e5) / fast(pieces, () => bare.dots(pool, 4e5)) / 1e6);
    rates.loaded.push((256 * 16 * 2e4) / fast(pieces, () => bare.loadedDots(pool, 2e4)) / 1e6);
  };
  const rows = [];
  for (const format of job.formats) {
    for (const [n, cols] of job.shapes) {
      const tile = fill(format, cols);
      const int8 = engine.usesInt8(format.ggml) === 1;
      const input = int8 ? activations : x;
      // The pool is one weight of many rows: a piece is a range of them, as a thread's share is.
      const all = Math.floor(POOL / tile) * 16;
      const piece = Math.max(1, Math.floor(PIECE / tile)) * 16;
      const slots = Math.floor(all / piece);
      const product = (start, end, count) =>
        engine.matmul(out - start * 4, end - start, input, pool, format.ggml, start, end, all, cols, count, scratch);
      const prepare = (count) => {
        if (int8) engine.quantiseActivations(activations, x, count, cols);
      };
      const few = Math.min(piece, 64);
      prepare(job.tokens);
      for (let i = 0; i < 30; i++) product(0, 16, job.tokens);
      prepare(1);
      for (let i = 0; i < 300; i++) product(0, 16, 1);
      await rest(); // the optimising compiler finishes
      bareRates();
      const vectorMs = fast(2 * pieces, (i) => product((i % slots) * piece, (i % slots) * piece + piece, 1)) / piece;
      prepare(job.tokens);
      const matrixMs = fast(pieces, (i) => product((i % slots) * piece, (i % slots) * piece + few, job.tokens)) / few;
      bareRates();
      const slab = Math.max(1, Math.floor((1 << 18) / tile));
      const packMs =
        fast(pieces, () => {
          for (let i = 0; i < slab; i++) engine.packRows(pool, staging, format.ggml, 0, 16, 16, cols);
        }) / slab;
      rows.push({
        n,
        cols,
        vectorMs: vectorMs * n,
        vectorGB: tile / 16 / vectorMs / 1e6,
        vectorG: cols / vectorMs / 1e6,
        matrixMs: matrixMs * n,
        matrixG: (cols * job.tokens) / matrixMs / 1e6,
        packGB: ((format.bytes / format.block) * 16 * cols) / packMs / 1e6,
      });
    }
  }
  const most = (a) => Math.max(...a);
  return { semantics, rates: Object.fromEntries(Object.entries(rates).map(([k, v]) => [k, most(v)])), rows };
}
