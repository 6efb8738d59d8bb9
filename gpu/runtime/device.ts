/** Opens a device with every limit and feature of the adapter that the kernels can use, and keeps the errors that it reports later. */
import { describeAdapter, type AdapterDescription } from './adapter.ts';
import type { Failure, MakeError } from './failure.ts';

/**
 * Limits that are raised from WebGPU's defaults to those of the adapter: large weights, many bindings, large
 * workgroups.
 */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

const FEATURES = ['timestamp-query', 'shader-f16', 'subgroups'] as const satisfies readonly GPUFeatureName[];

export interface DeviceOptions {
  readonly gpu: GPU;
  /** Makes every error that the device and its runner throw. */
  readonly error: MakeError;
  readonly powerPreference?: GPUPowerPreference;
  readonly label?: string;
  /** Keeps WebGPU's default limits although the adapter has more. Tests use it to imitate a small device. */
  readonly defaultLimits?: boolean;
}

export class Device {
  readonly adapter: AdapterDescription;
  readonly gpu: GPUDevice;
  /** The object that created the device. Dawn in Node crashes when it is collected before its devices. */
  readonly origin: GPU;
  /** Resolves with the error when the device is lost; never rejects, and stays silent when `destroy` ended it. */
  readonly lost: Promise<Error>;
  readonly error: MakeError;
  #failure: Error | undefined;
  /**
   * An uncaptured error, usually the consequence of an object that could not be created. It is thrown only when no
   * cause is reported.
   */
  #consequence: Error | undefined;
  readonly #causes = new Set<Promise<unknown>>();
  #dead: Error | undefined;
  #destroyed = false;
  /** Called when the GPU had no memory, to free what is not in use. */
  exhausted: () => void = () => {};
  readonly #lose: (failure: Error) => void;

  constructor(origin: GPU, adapter: AdapterDescription, gpu: GPUDevice, error: MakeError) {
    this.origin = origin;
    this.error = error;
    this.adapter = adapter;
    this.gpu = gpu;
    let resolve: (failure: Error) => void = () => {};
    this.lost = new Promise((settle) => (resolve = settle));
    this.#lose = (failure) => {
      this.#dead = failure;
      resolve(failure);
    };
    void gpu.lost.then((info) => {
      if (this.#destroyed || this.#dead !== undefined) return;
      this.#failure = undefined;
      this.#lose(error(lost(adapter.name, info.message || info.reason || 'no reason given')));
    });
    gpu.onuncapturederror = (event) => {
      event.preventDefault();
      this.#consequence ??= error(invalid(event.error, 'an operation'));
    };
  }

  get alive(): boolean {
    return this.#dead === undefined;
  }

  /** Throws, once, the first failure since the last check, and `lost` or `destroyed` on a dead device. */
  check(): void {
    if (this.#dead !== undefined) throw this.#taken() ?? this.#dead;
    if (this.#failure === undefined && (this.#consequence === undefined || this.#causes.size > 0)) return;
    const consequence = this.#consequence;
    throw this.#taken() ?? consequence;
  }

  #taken(): Error | undefined {
    const failure = this.#failure;
    this.#failure = undefined;
    this.#consequence = undefined;
    return failure;
  }

  /** Keeps the first failure of an operation that no caller waits for. The next `check` throws it. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /**
   * Keeps the failure to make a buffer. What was recorded with it fails, too, and is not reported. `state`: the buffer
   * was to hold what nothing else holds, so the device is given up.
   */
  failMemory(error: Error, state: boolean): void {
    this.fail(error);
    if (state) {
      this.#lose(this.error(lost(this.adapter.name, error.message)));
      this.gpu.destroy();
      return;
    }
    this.exhausted();
    this.await(
      this.gpu.queue.onSubmittedWorkDone().then(
        () => (this.#consequence = undefined),
        () => {},
      ),
    );
  }

  /**
   * Registers a creation whose outcome is known later. `cause` never rejects; it calls `fail` when the creation failed.
   */
  await(cause: Promise<unknown>): void {
    this.#causes.add(cause);
    void cause.finally(() => this.#causes.delete(cause));
  }

  /** Resolves when the outcome of every creation is known. */
  async settled(): Promise<void> {
    while (this.#causes.size > 0) await Promise.all(this.#causes);
  }

  /** Returns the error to throw when a promise of the device rejected, which happens when the device is gone. */
  explain(cause: unknown): Error {
    return (
      this.#taken() ??
      this.#dead ??
      this.error(lost(this.adapter.name, cause instanceof Error ? cause.message : String(cause)))
    );
  }

  /**
   * Opens an error scope. The returned function closes it, and resolves with the error that occurred within it, if any.
   */
  guard(filter: GPUErrorFilter, what: string): () => Promise<Error | undefined> {
    this.gpu.pushErrorScope(filter);
    return async () => {
      try {
        const error = await this.gpu.popErrorScope();
        return error === null ? undefined : this.error(invalid(error, what));
      } catch (cause) {
        return this.explain(cause);
      }
    };
  }

  destroy(): void {
    this.#destroyed = true;
    this.#failure = undefined;
    this.#dead ??= this.error({ code: 'destroyed', problem: 'the GPU device was destroyed by its owner' });
    this.gpu.destroy();
  }
}

/** Throws `unavailable` when there is no adapter, or when the adapter gives no device. */
export async function openDevice(options: DeviceOptions): Promise<Device> {
  const { error } = options;
  const adapter = await options.gpu.requestAdapter(
    options.powerPreference === undefined ? {} : { powerPreference: options.powerPreference },
  );
  if (adapter === null) throw error({ code: 'unavailable', problem: 'WebGPU has no adapter here' });
  const requiredLimits: Record<string, number> = {};
  if (options.defaultLimits !== true) for (const name of LIMITS) requiredLimits[name] = adapter.limits[name];
  const requiredFeatures = FEATURES.filter((name) => adapter.features.has(name));
  const description = describeAdapter(adapter);
  try {
    const gpu = await adapter.requestDevice({ label: options.label ?? 'octavo', requiredLimits, requiredFeatures });
    return new Device(options.gpu, description, gpu, error);
  } catch (cause) {
    const { name } = description;
    throw error({ code: 'unavailable', problem: `WebGPU: ${name} gives no device`, facts: { adapter: name }, cause });
  }
}

function lost(adapter: string, reason: string): Failure {
  return { code: 'lost', problem: `the GPU device (${adapter}) is lost: ${reason}`, facts: { adapter, reason } };
}

function invalid(error: GPUError, what: string): Failure {
  if (error.constructor.name === 'GPUOutOfMemoryError')
    return { code: 'out-of-memory', problem: `GPU: no memory for ${what}: ${error.message}` };
  return { code: 'shader', problem: `GPU: ${what} is invalid: ${error.message}` };
}
