/** What the machine gives at best, for the kernels' benchmark: reading memory, and the relaxed dot with nothing else. Built by run.mjs only. */

/** Reads [at, at + bytes) once; bytes is a multiple of 128. */
export function read(at: usize, bytes: usize): i32 {
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (const end = at + bytes; at < end; at += 128) {
    a = v128.xor(a, v128.xor(v128.load(at), v128.load(at, 16)));
    b = v128.xor(b, v128.xor(v128.load(at, 32), v128.load(at, 48)));
    c = v128.xor(c, v128.xor(v128.load(at, 64), v128.load(at, 80)));
    d = v128.xor(d, v128.xor(v128.load(at, 96), v128.load(at, 112)));
  }
  return i32x4.extract_lane(v128.xor(v128.xor(a, b), v128.xor(c, d)), 0);
}

@inline
function dot(a: v128, b: v128, c: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(a, b, c);
}

/** 12 independent dots a turn from registers. */
export function dots(at: usize, turns: i32): i32 {
  const w = v128.load(at);
  const x = v128.load(at, 16);
  let a = w, b = w, c = w, d = w, e = w, f = w, g = w, h = w, i = w, j = w, k = w, l = w;
  for (let n = 0; n < turns; n++) {
    a = dot(x, w, a); b = dot(x, w, b); c = dot(x, w, c); d = dot(x, w, d); e = dot(x, w, e); f = dot(x, w, f);
    g = dot(x, w, g); h = dot(x, w, h); i = dot(x, w, i); j = dot(x, w, j); k = dot(x, w, k); l = dot(x, w, l);
  }
  return i32x4.extract_lane(v128.xor(v128.xor(v128.xor(a, b), v128.xor(c, d)), v128.xor(v128.xor(v128.xor(e, f), v128.xor(g, h)), v128.xor(v128.xor(i, j), v128.xor(k, l)))), 0);
}

@inline
function wide(a: v128, b: v128, c: v128): v128 {
  return i32x4.add(c, i32x4.dot_i16x8_s(a, b));
}

/** 12 independent dots of 8 products a turn from registers, as plain SIMD has them: pairs of 16 bits, and an addition. */
export function wideDots(at: usize, turns: i32): i32 {
  const w = v128.load(at);
  const x = v128.load(at, 16);
  let a = w, b = w, c = w, d = w, e = w, f = w, g = w, h = w, i = w, j = w, k = w, l = w;
  for (let n = 0; n < turns; n++) {
    a = wide(x, a, a); b = wide(x, b, b); c = wide(x, c, c); d = wide(x, d, d); e = wide(x, e, e); f = wide(x, f, f);
    g = wide(x, g, g); h = wide(x, h, h); i = wide(x, i, i); j = wide(x, j, j); k = wide(x, k, k); l = wide(x, l, l);
  }
  return i32x4.extract_lane(v128.xor(v128.xor(v128.xor(a, b), v128.xor(c, d)), v128.xor(v128.xor(v128.xor(e, f), v128.xor(g, h)), v128.xor(v128.xor(i, j), v128.xor(k, l)))), 0);
}

@inline
function narrow(a: v128, b: v128, c: v128): v128 {
  return i16x8.add(c, i16x8.relaxed_dot_i8x16_i7x16_s(a, b));
}

/** 12 independent dots of 16 products a turn from registers into sums of 16 bits. */
export function narrowDots(at: usize, turns: i32): i32 {
  const w = v128.load(at);
  const x = v128.load(at, 16);
  let a = w, b = w, c = w, d = w, e = w, f = w, g = w, h = w, i = w, j = w, k = w, l = w;
  for (let n = 0; n < turns; n++) {
    a = narrow(x, a, a); b = narrow(x, b, b); c = narrow(x, c, c); d = narrow(x, d, d); e = narrow(x, e, e); f = narrow(x, f, f);
    g = narrow(x, g, g); h = narrow(x, h, h); i = narrow(x, i, i); j = narrow(x, j, j); k = narrow(x, k, k); l = narrow(x, l, l);
  }
  return i32x4.extract_lane(v128.xor(v128.xor(v128.xor(a, b), v128.xor(c, d)), v128.xor(v128.xor(v128.xor(e, f), v128.xor(g, h)), v128.xor(v128.xor(i, j), v128.xor(k, l)))), 0);
}

/** One load a dot, 8 accumulators, from 4 KiB at `at`. */
export function loadedDots(at: usize, turns: i32): i32 {
  let w = v128.load(at);
  let a = w, b = w, c = w, d = w, e = w, f = w, g = w, h = w;
  for (let n = 0; n < turns; n++) {
    for (let p = at; p < at + 4096; p += 128) {
      a = dot(v128.load(p), w, a); b = dot(v128.load(p, 16), w, b); c = dot(v128.load(p, 32), w, c); d = dot(v128.load(p, 48), w, d);
      e = dot(v128.load(p, 64), w, e); f = dot(v128.load(p, 80), w, f); g = dot(v128.load(p, 96), w, g); h = dot(v128.load(p, 112), w, h);
    }
  }
  return i32x4.extract_lane(v128.xor(v128.xor(v128.xor(a, b), v128.xor(c, d)), v128.xor(v128.xor(e, f), v128.xor(g, h))), 0);
}

/** 12 independent f32 multiply-adds a turn from registers. */
export function multiplyAdds(at: usize, turns: i32): f32 {
  const w = v128.load(at);
  const x = v128.load(at, 16);
  let a = w, b = w, c = w, d = w, e = w, f = w, g = w, h = w, i = w, j = w, k = w, l = w;
  for (let n = 0; n < turns; n++) {
    a = f32x4.relaxed_madd(x, w, a); b = f32x4.relaxed_madd(x, w, b); c = f32x4.relaxed_madd(x, w, c); d = f32x4.relaxed_madd(x, w, d);
    e = f32x4.relaxed_madd(x, w, e); f = f32x4.relaxed_madd(x, w, f); g = f32x4.relaxed_madd(x, w, g); h = f32x4.relaxed_madd(x, w, h);
    i = f32x4.relaxed_madd(x, w, i); j = f32x4.relaxed_madd(x, w, j); k = f32x4.relaxed_madd(x, w, k); l = f32x4.relaxed_madd(x, w, l);
  }
  return f32x4.extract_lane(f32x4.add(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)), f32x4.add(f32x4.add(f32x4.add(e, f), f32x4.add(g, h)), f32x4.add(f32x4.add(i, j), f32x4.add(k, l)))), 0);
}
