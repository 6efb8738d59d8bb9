/** Nothing grows: 6,000 prompts in one session, 100 loads and unloads. Counted on the device, in WASM memory and in the JS heap. */
import { describe, expect, test } from '@jest/globals';
import { build } from 'esbuild';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { EngineModel } from '../../src/engine/model.ts';
import { Session } from '../../src/session.ts';
import { onReference, testPlatform } from '../support/engine.ts';
import { tinyModel } from '../support/tiny-model.ts';
import type { Readings } from './leak-process.ts';

const middle = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/**
 * The middle of the steps from one reading to the next. A leak is in every step; what V8 allocates for its own sake comes in a few steps of up to
 * 200 kB.
 */
function usualStep(values: readonly number[]): number {
  return middle(values.slice(1).map((value, i) => value - (values[i] ?? 0)));
}

const PROMPTS = 6000;
const EVERY = 150;
/** Bytes a prompt: one forgotten listener, or the smallest object in a Map, is above it. */
const MOST_GROWTH = 50;

/** Readings of test/session/leak-process.ts, bundled and run without the optimising compiler. */
async function inProcess(kind: 'session' | 'face' | 'loads', times = PROMPTS, every = EVERY): Promise<Readings> {
  const folder = mkdtempSync(join(tmpdir(), 'octavo-leaks-'));
  try {
    const outfile = join(folder, 'leaks.mjs');
    await build({
      entryPoints: [fileURLToPath(new URL('leak-process.ts', import.meta.url))],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'es2022',
      logLevel: 'error',
      loader: { '.wgsl': 'text' },
      external: ['@napi-rs/canvas', 'webgpu'],
    });
    const assets = new URL('../../build/wasm/', import.meta.url).href;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        '--expose-gc',
        '--no-opt',
        '--no-sparkplug',
        '--no-flush-bytecode',
        outfile,
        kind,
        String(times),
        String(every),
        assets,
      ],
      { env: { ...process.env, NODE_OPTIONS: '' }, maxBuffer: 1 << 24 },
    );
    return JSON.parse(stdout) as Readings;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Bytes a load: the model's file alone would be 130 kB. */
const MOST_GROWTH_OF_LOADS = 12_500;

describe('memory', () => {
  test.each(['session', 'face'] as const)(
    '6,000 prompts through the %s, aborted ones among them through the face: less than 50 bytes a prompt',
    async (kind) => {
      const { heap: heaps, device } = await inProcess(kind);
      expect(new Set(device).size).toBe(1);
      expect(usualStep(heaps) / EVERY).toBeLessThan(MOST_GROWTH);
    },
    300_000,
  );

  test('100 loads and unloads give all WASM memory back', async () => {
    const { heap: heaps, device } = await inProcess('loads', 100, 5);
    expect(new Set(device)).toEqual(new Set(['0']));
    expect(usualStep(heaps) / 5).toBeLessThan(MOST_GROWTH_OF_LOADS);
  }, 300_000);

  test('the reference backend counts the same: every allocation has its free', async () => {
    const model = await EngineModel.load(testPlatform, tinyModel({ layers: 1, window: 128 }), {}, {}, onReference);
    const before = model.memory();
    for (let i = 0; i < 3; i++) {
      const session = new Session(model, { temperature: 0, maxTokens: 2 });
      await session.prompt('Hello');
      await (await session.clone()).destroy();
      await session.destroy();
    }
    expect({ ...model.memory(), kv: 0 }).toEqual({ ...before, kv: 0 });
    model.free();
  });
});
