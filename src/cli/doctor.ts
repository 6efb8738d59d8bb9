import { tmpdir } from 'node:os';
import { describeAdapter } from '../backend/webgpu.ts';
import { openDevice } from '../engine/device.ts';
import { buildRuns, chooseWasm } from '../engine/wasm-build.ts';
import type { Platform } from '../platform/platform.ts';
import { WASM_BUILDS } from '../wasm.ts';
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
  usage: 'doctor [--json]',
  summary: 'what this machine offers',
  details: '  --json   the same as JSON\n',
  async run(argv, { platform, output }) {
    const args = new Arguments(argv, { json: 'b' });
    args.atMost(0);
    const facts = {
      node: process.version,
      system: `${process.platform} ${process.arch}`,
      processors: platform.cores,
      wasm: wasm(platform),
      webgpu: await webgpu(platform),
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

async function webgpu(platform: Platform): Promise<Record<string, unknown>> {
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
  };
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
