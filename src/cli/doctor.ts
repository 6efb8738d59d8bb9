import { tmpdir } from 'node:os';
import { createWasmBackend } from '../backend/wasm.ts';
import { createWebGpuBackend, describeAdapter, SMALL_SIZES, tuneForms, type FormReport } from '../backend/webgpu.ts';
import { openDevice } from '../engine/device.ts';
import { buildRuns, chooseWasm } from '../engine/wasm-build.ts';
import type { Platform } from '../platform/platform.ts';
import { instantiate, WASM_BUILDS } from '../wasm.ts';
import { Arguments } from './arguments.ts';
import type { Command } from './command.ts';
import { size, write } from './terminal.ts';

/** The limits that determine which models fit. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
] as const;

/** Shows what this machine supports, and what `device: 'auto'` chooses. */
export const doctor: Command = {
  usage: 'doctor [--json] [--kernels]',
  summary: 'what this machine offers',
  details:
    '  --json      the same as JSON\n  --kernels   time the forms of kernels on a software adapter too, where they say nothing about a GPU\n',
  async run(argv, { platform, output }) {
    const args = new Arguments(argv, { json: 'b', kernels: 'b' });
    args.atMost(0);
    const facts = {
      node: process.version,
      system: `${process.platform} ${process.arch}`,
      processors: platform.cores,
      wasm: wasm(platform),
      webgpu: await webgpu(platform, args.flag('kernels')),
      choice: await choice(platform),
      storage: await storage(),
    };
    await write(output, args.flag('json') ? `${JSON.stringify(facts, null, 2)}\n` : text(facts));
  },
};

function wasm(platform: Platform): { build: string; threads: number; reason: string; builds: Record<string, boolean> } {
  return {
    ...chooseWasm(platform),
    builds: Object.fromEntries(WASM_BUILDS.map((build) => [build, buildRuns(build, platform)])),
  };
}

async function webgpu(platform: Platform, kernels: boolean): Promise<Record<string, unknown>> {
  const gpu = await platform.gpu();
  if (gpu === undefined) return { adapter: 'none: npm install webgpu brings WebGPU to Node' };
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) return { adapter: 'none: no driver was found' };
  const { name, software, features } = describeAdapter(adapter);
  return {
    adapter: name,
    software,
    features,
    limits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
    kernels: software && !kernels ? 'not timed: a software adapter' : forms(await timedForms(platform, gpu, software)),
  };
}

/** Measures the forms of kernels on the adapter anew, whatever was kept. */
async function timedForms(platform: Platform, gpu: GPU, software: boolean): Promise<readonly FormReport[]> {
  const { build } = chooseWasm(platform, { threads: 1 });
  const judge = await createWasmBackend({ wasm: await instantiate(build, await platform.wasm(build)), threads: 1 });
  try {
    const backend = await createWebGpuBackend({ gpu, powerPreference: 'high-performance' });
    try {
      return await tuneForms(backend, judge, software ? SMALL_SIZES : undefined);
    } finally {
      backend.destroy();
    }
  } finally {
    judge.destroy();
  }
}

/** By family and form: microseconds of a dispatch, the error against the CPU, and whether the form is used. */
function forms(report: readonly FormReport[]): Record<string, Record<string, string>> {
  const table: Record<string, Record<string, string>> = {};
  for (const { family, form, error, microseconds, problem, chosen } of report) {
    const figures = problem ?? `${microseconds?.toFixed(1)} us, error ${error?.toExponential(1)}`;
    (table[family] ??= {})[form] = chosen ? `${figures}, used` : figures;
  }
  return table;
}

async function choice(platform: Platform): Promise<Record<string, unknown>> {
  try {
    const { backend, info } = await openDevice(platform, {});
    backend.destroy();
    return { ...info };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

async function storage(): Promise<Record<string, unknown>> {
  const { statfs } = await import('node:fs/promises');
  const { bavail, bsize } = await statfs(tmpdir());
  return { indexedDB: typeof indexedDB !== 'undefined', freeDisk: bavail * bsize };
}

function text(facts: Record<string, unknown>, indent = ''): string {
  let out = '';
  for (const [key, value] of Object.entries(facts)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      out += `${indent}${key}\n${text(value as Record<string, unknown>, `${indent}  `)}`;
    else out += `${indent}${key.padEnd(Math.max(16, 36 - indent.length))}${show(key, value)}\n`;
  }
  return out;
}

function show(key: string, value: unknown): string {
  if (typeof value === 'number' && /Size$|freeDisk/.test(key)) return size(value);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return Array.isArray(value) ? value.join(', ') : String(value);
}
