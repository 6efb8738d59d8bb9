/**
 * Compiled kernels, keyed by kernel, types and constants. A kernel that fails to compile is reported with line and
 * column, and is not cached.
 */
import type { Device } from './device.ts';
import type { Failure } from './failure.ts';
import { directives, type Form } from './forms.ts';
import type { Kernel } from './kernel.ts';

export interface Pipeline {
  readonly id: number;
  readonly name: string;
  readonly gpu: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly data: boolean;
}

export class Pipelines {
  readonly #device: Device;
  readonly #cache = new Map<string, Pipeline>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  #made = 0;

  constructor(device: Device) {
    this.#device = device;
  }

  /** The number of pipelines compiled so far. */
  get made(): number {
    return this.#made;
  }

  get<Inputs>(kernel: Kernel<Inputs>, inputs: Inputs, form: Form): Pipeline {
    const constants = kernel.constants(inputs, form);
    let key = `${kernel.name} ${kernel.types(inputs)}`;
    if (kernel.family !== undefined) key += ` (${form.name})`;
    for (const name in constants) key += ` ${constants[name]}`;
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const pipeline = this.#compile(kernel, directives(form) + kernel.source(inputs, form), constants, key);
    this.#cache.set(key, pipeline);
    return pipeline;
  }

  /** The layout of group 1: parameters, and host data where the kernel reads any. */
  paramLayout(data: boolean): GPUBindGroupLayout {
    return this.#layout(data ? 'params+data' : 'params', () => [
      { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform', hasDynamicOffset: true } },
      ...(data
        ? [
            {
              binding: 1,
              visibility: GPUShaderStage.COMPUTE,
              buffer: { type: 'read-only-storage', hasDynamicOffset: true },
            } as const,
          ]
        : []),
    ]);
  }

  #layout(key: string, entries: () => GPUBindGroupLayoutEntry[]): GPUBindGroupLayout {
    const known = this.#layouts.get(key);
    if (known !== undefined) return known;
    const made = this.#device.gpu.createBindGroupLayout({ label: key, entries: entries() });
    this.#layouts.set(key, made);
    return made;
  }

  #compile<Inputs>(
    kernel: Kernel<Inputs>,
    code: string,
    constants: Readonly<Record<string, number>>,
    key: string,
  ): Pipeline {
    const { gpu } = this.#device;
    const data = kernel.data === true;
    const layout = this.#layout(kernel.bindings.join(), () =>
      kernel.bindings.map((access, binding) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
      })),
    );
    const settled = this.#device.guard('validation', `pipeline ${key}`);
    const module = gpu.createShaderModule({ label: key, code });
    const pipeline = gpu.createComputePipeline({
      label: key,
      layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout, this.paramLayout(data)] }),
      compute: { module, entryPoint: 'main', constants },
    });
    this.#device.await(
      settled().then(async (error) => {
        if (error === undefined || !this.#device.alive) return;
        this.#cache.delete(key);
        const failure = await compileFailure(key, code, module);
        this.#device.fail(failure === undefined ? error : this.#device.error(failure));
      }),
    );
    this.#made += 1;
    return { id: this.#made, name: kernel.name, gpu: pipeline, layout, data };
  }
}

/** Lines of the excerpt before and after the line with the error. */
const CONTEXT = 2;

/** Returns the compiler's message for the first error, with the lines around it; undefined if there is none. */
async function compileFailure(key: string, code: string, module: GPUShaderModule): Promise<Failure | undefined> {
  const messages = (await module.getCompilationInfo()).messages.filter((message) => message.type === 'error');
  const first = messages[0];
  if (first === undefined) return undefined;
  const { lineNum: line, linePos: column } = first;
  const lines = code.split('\n');
  const excerpt: string[] = [];
  for (let n = Math.max(1, line - CONTEXT); n <= Math.min(lines.length, line + CONTEXT); n += 1) {
    excerpt.push(`${n === line ? '>' : ' '} ${n}: ${lines[n - 1] ?? ''}`);
  }
  return {
    code: 'shader',
    problem: `WGSL of ${key}: line ${line}, column ${column}: ${first.message}\n${excerpt.join('\n')}`,
    facts: { kernel: key, line, column, source: code },
  };
}
