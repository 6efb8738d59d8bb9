/**
 * Runs inside the page (no imports: its text is sent there). Times products single-threaded and interleaved, beside the bare rates of the same moment.
 * @param {{ engine: string, bare: string, formats: {name: string, ggml: number, block: number, bytes: number, halves: number[]}[], shapes: [number, number][], tokens: number, rounds: number }} job
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
  const tallest = Math.max(...job.shapes.map(([rows]) => rows));
  const x = engine.alloc(job.tokens * widest * 4) >>> 0;
  const xs = new Float32Array(memory.buffer, x, job.tokens * widest);
  for (let i = 0; i < xs.length; i++) xs[i] = ((noise[(i * 7) & 65535] - 128) * (1 + (noise[(i * 13) & 65535] & 3))) / 128;
  const activations = engine.alloc(engine.activationBytes(job.tokens, widest)) >>> 0;
  const out = engine.alloc(job.tokens * Math.min(tallest, 8192) * 4 + tallest * 4) >>> 0;
  const scratch = engine.alloc(engine.matmulScratchBytes()) >>> 0;
  const staging = engine.alloc(16 * widest * 4) >>> 0;

  /** Fills the pool with copies of one tile of random blocks. */
  const fill = (format, cols) => {
    const rowBytes = (cols / format.block) * format.bytes;
    const file = new Uint8Array(memory.buffer, staging, 16 * rowBytes);
    for (let i = 0; i < file.length; i++) file[i] = noise[(i * 31 + (i >> 8)) & 65535];
    if (format.name === 'F32') new Float32Array(memory.buffer, staging, 16 * cols).forEach((_, i, a) => { a[i] = (noise[i & 65535] - 128) / 1000; });
    for (let at = 0; at < file.length; at += format.bytes) for (const h of format.halves) { file[at + h] = noise[at & 65535]; file[at + h + 1] = 0x28; }
    const tile = engine.packedBytes(format.ggml, 16, cols);
    engine.packRows(pool, staging, format.ggml, 0, 16, 16, cols);
    const all = new Uint8Array(memory.buffer, pool, POOL);
    let have = tile;
    const whole = Math.floor(POOL / tile) * tile;
    while (have < whole) { const n = Math.min(have, whole - have); all.copyWithin(have, 0, n); have += n; }
    return tile;
  };
  const time = (body) => { const t = performance.now(); body(); return performance.now() - t; };
  // other processes only ever slow a run down: the best of the rounds is the kernel's
  const least = (a) => Math.min(...a);
  const most = (a) => Math.max(...a);
  const rates = { read: [], cached: [], dots: [], loaded: [] };
  const bareRates = () => {
    rates.read.push(POOL / 2 / time(() => bare.read(pool, POOL / 2)) / 1e6);
    rates.cached.push((20000 * 16384) / time(() => { for (let i = 0; i < 20000; i++) bare.read(pool, 16384); }) / 1e6);
    rates.dots.push((12 * 16 * 4e6) / time(() => bare.dots(pool, 4e6)) / 1e6);
    rates.loaded.push((256 * 16 * 2e5) / time(() => bare.loadedDots(pool, 2e5)) / 1e6);
  };
  const rows = [];
  for (const format of job.formats) {
    for (const [n, cols] of job.shapes) {
      const tile = fill(format, cols);
      const bytes = engine.packedBytes(format.ggml, n, cols);
      const copies = Math.max(1, Math.floor(POOL / bytes));
      const int8 = engine.usesInt8(format.ggml) === 1;
      const vector = [];
      const matrix = [];
      const packing = [];
      let copy = 0;
      for (let round = 0; round < job.rounds; round++) {
        if (int8) engine.quantiseActivations(activations, x, 1, cols);
        const repeat = Math.max(1, Math.ceil((100 << 20) / bytes));
        vector.push(time(() => {
          for (let i = 0; i < repeat; i++) engine.matmul(out, n, int8 ? activations : x, pool + (copy++ % copies) * bytes, format.ggml, 0, n, n, cols, 1, scratch);
        }) / repeat);
        if (n <= 8192) {
          if (int8) engine.quantiseActivations(activations, x, job.tokens, cols);
          const turns = Math.max(1, Math.round(1e9 / (n * cols * job.tokens)));
          matrix.push(time(() => {
            for (let i = 0; i < turns; i++) engine.matmul(out, n, int8 ? activations : x, pool + (i % copies) * bytes, format.ggml, 0, n, n, cols, job.tokens, scratch);
          }) / turns);
        }
        bareRates();
        const slabs = Math.ceil(2e7 / tile);
        packing.push((slabs * (format.bytes / format.block) * 16 * cols) / time(() => { for (let i = 0; i < slabs; i++) engine.packRows(pool, staging, format.ggml, 0, 16, 16, cols); }) / 1e6);
      }
      const vectorMs = least(vector);
      const matrixMs = matrix.length ? least(matrix) : 0;
      rows.push({
        format: format.name, n, cols, vectorMs, vectorGB: bytes / vectorMs / 1e6, matrixMs, matrixG: matrixMs ? (n * cols * job.tokens) / matrixMs / 1e6 : 0, packGB: most(packing),
      });
    }
  }
  return { semantics, rates: Object.fromEntries(Object.entries(rates).map(([k, v]) => [k, most(v)])), rows };
}
