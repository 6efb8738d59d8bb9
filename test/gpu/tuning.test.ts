/** The forms of kernels on this device: each that runs here computes what the CPU does, in the tuner's problems and in the operations of models. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FAMILIES, Forms } from '../../gpu/runtime/forms.ts';
import type { Tensor } from '../../src/backend/backend.ts';
import { compareBackends } from '../../src/backend/self-check.ts';
import { createWebGpuBackend, SMALL_SIZES, tuneForms, type WebGpuBackend } from '../../src/backend/webgpu.ts';
import { doctor } from '../../src/cli/doctor.ts';
import type { CliContext } from '../../src/cli/terminal.ts';
import { checkAndTune } from '../../src/engine/kernel-forms.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { testPlatform } from '../support/engine.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';
import { FolderRecords } from '../../src/store/folder-records.ts';

describe('which forms a device has', () => {
  test('without features, those of workgroup memory and f32 alone', () => {
    const forms = new Forms(new Set(), undefined);
    for (const family of FAMILIES) {
      expect(forms.available(family).length).toBeGreaterThan(0);
      for (const { features, width } of forms.available(family)) expect([features, width]).toEqual([[], 1]);
      expect(forms.of(family)).toBe(forms.available(family)[0]);
    }
    expect(forms.choose('reduction', 'subgroups')).toBe(false);
    expect(forms.of('reduction').name).toBe('plain');
  });

  test('subgroups whose size is not told, or of one thread, are not used', () => {
    for (const smallest of [undefined, 1])
      expect(new Forms(new Set(['subgroups']), smallest).available('reduction').map(({ name }) => name)).toEqual([
        'plain',
      ]);
  });

  test('the width is the smallest subgroup, as a power of two', () => {
    const forms = new Forms(new Set(['subgroups', 'shader-f16']), 12);
    expect(forms.choose('reduction', 'subgroups')).toBe(true);
    expect(forms.of('reduction').width).toBe(8);
    expect(forms.available('tile').map(({ name }) => name)).toEqual(['plain', 'f16 weights']);
  });
});

const ifGpu = (await hasGpu()) ? test : test.skip;

describe('on this device', () => {
  const judge = createReferenceBackend();
  let backend: WebGpuBackend;
  beforeAll(async () => {
    if (await hasGpu()) backend = await createWebGpuBackend({ gpu: testGpu() });
  });
  afterAll(() => {
    backend?.destroy();
    judge.destroy();
  });

  ifGpu(
    'every form is right, one of each family is chosen, and nothing is kept',
    async () => {
      const report = await tuneForms(backend, judge, SMALL_SIZES);
      if (process.env['OCTAVO_REQUIRE_F16'] === '1')
        expect(report.map(({ form }) => form)).toEqual(expect.arrayContaining(['f16 weights', 'subgroups']));
      for (const { family, form, error, problem, microseconds } of report) {
        expect([family, form, problem]).toEqual([family, form, undefined]);
        expect(error).toBeLessThan(form === 'f16 weights' ? 1e-5 : 1e-6);
        expect(microseconds).toBeGreaterThanOrEqual(0);
      }
      for (const family of FAMILIES) {
        const chosen = report.filter((one) => one.family === family && one.chosen);
        expect(chosen.map(({ form }) => form)).toEqual([backend.forms.of(family).name]);
      }
      expect(backend.memory()).toEqual({ weights: 0, kv: 0, activations: 0, allocations: 0 });
    },
    120_000,
  );

  /** Each holds the forms that differ most from the first ones; the test before tries the others one by one. */
  const COMBINATIONS = [
    { 'few-rows': '16 lanes, subgroups', tile: 'f16 weights', reduction: 'subgroups', attention: 'subgroups' },
    { 'few-rows': '64 lanes, subgroups', tile: 'plain', reduction: 'plain', attention: '8 heads, subgroups' },
  ] as const;

  ifGpu.each(COMBINATIONS)(
    'the operations of models agree with the CPU: %j',
    async (combination) => {
      for (const family of FAMILIES) backend.forms.choose(family, combination[family]);
      const { ok, reason } = await compareBackends(backend, judge);
      for (const family of FAMILIES) backend.forms.choose(family, backend.forms.available(family)[0]!.name);
      expect([ok, reason]).toEqual([true, reason]);
    },
    120_000,
  );

  ifGpu(
    'octavo doctor tells each form of each family: its time, its error, and which are used',
    async () => {
      let told = '';
      const output = new Writable({ write: (piece, _, done) => done(void (told += String(piece))) });
      const platform = { ...testPlatform, gpu: async () => testGpu() };
      await doctor.run(['--json', '--kernels'], { platform, output } as unknown as CliContext);
      const { kernels } = (JSON.parse(told) as { webgpu: { kernels: Record<string, Record<string, string>> } }).webgpu;
      expect(Object.keys(kernels)).toEqual([...FAMILIES]);
      for (const family of FAMILIES) {
        const forms = Object.entries(kernels[family]!);
        expect(forms.map(([form]) => form)).toEqual(backend.forms.available(family).map(({ name }) => name));
        for (const [, figures] of forms) expect(figures).toMatch(/^\d+\.\d us, error \d\.\de[+-]\d+(?:, used)?$/);
        expect(forms.filter(([, figures]) => figures.endsWith(', used'))).toHaveLength(1);
      }
    },
    120_000,
  );

  ifGpu('a form that computes wrongly, or is refused by the driver, is not chosen', async () => {
    const shifted = new Proxy(judge, {
      get(target, name) {
        if (name === 'download')
          return async (tensor: Tensor) => (await target.download(tensor)).map((value) => value + 1);
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
    const report = await tuneForms(backend, shifted, SMALL_SIZES);
    for (const one of report) expect(one.microseconds).toBeUndefined();
    for (const family of FAMILIES) expect(backend.forms.of(family).name).toBe(backend.forms.available(family)[0]!.name);
  });

  ifGpu(
    'a choice is kept by adapter, used again without measuring, and measured anew where it is not to be had',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'octavo-forms-'));
      const records = new FolderRecords(folder);
      const key = ['forms', 1, backend.description];
      const kept = { 'few-rows': '64 lanes', tile: 'plain', reduction: 'plain', attention: '1 head' };
      await records.put({ key, value: kept });
      const before = backend.counters().dispatches;
      await checkAndTune(backend, judge, records, SMALL_SIZES);
      const used = backend.counters().dispatches - before;
      for (const family of FAMILIES) expect(backend.forms.of(family).name).toBe(kept[family]);
      await records.put({ key, value: { ...kept, tile: 'a form of another device' } });
      await checkAndTune(backend, judge, records, SMALL_SIZES);
      expect(backend.counters().dispatches - before).toBeGreaterThan(2 * used);
      expect(await records.get(key)).toEqual(
        Object.fromEntries(FAMILIES.map((family) => [family, backend.forms.of(family).name])),
      );
      rmSync(folder, { recursive: true });
    },
    120_000,
  );
});
