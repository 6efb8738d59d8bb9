// The bare loops (bare.ts) as WASM: what this machine reads and multiplies at best.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Compiles it and returns the bytes in base64, as pages take them. */
export function bareModule() {
  const out = join(root, 'build', 'bench', 'bare.wasm');
  mkdirSync(dirname(out), { recursive: true });
  const asc = createRequire(import.meta.url).resolve('assemblyscript/bin/asc.js');
  execFileSync(
    process.execPath,
    [
      asc,
      'bench/kernels/bare.ts',
      '--config',
      'none',
      '-o',
      'build/bench/bare.wasm',
      '--enable',
      'simd,relaxed-simd',
      '--runtime',
      'stub',
      '-O3',
      '--importMemory',
      '--use',
      'abort=',
    ],
    { cwd: root, stdio: 'inherit' },
  );
  return readFileSync(out).toString('base64');
}
