/** Asks for an adapter and a device with everything the adapter has that Octavo can use, and keeps what later fails on it. */
import { DeviceError, InputError, type OctavoError } from '../../src/errors.ts';
import { describeAdapter, type AdapterDescription } from './adapter.ts';

/** Limits raised from WebGPU's defaults to what the adapter has: large weights, many bindings, large workgroups. */
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
  readonly powerPreference?: GPUPowerPreference;
  readonly label?: string;
  /** Takes WebGPU's default limits although the adapter has more; tests use it to act as a small device. */
  readonly defaultLimits?: boolean;
}

export class Device {
  readonly adapter: AdapterDescription;
  readonly gpu: GPUDevice;
  /** Where the device came from: Dawn in Node crashes when this is collected before its devices. */
  readonly origin: GPU;
  /** Resolves with the error when the device is lost; never rejects, and stays silent when `destroy` ended it. */
  readonly lost: Promise<DeviceError>;
  #failure: OctavoError | undefined;
  /** What the device says of commands that use something that failed to be made; told only where no cause comes to light. */
  #consequence: OctavoError | undefined;
  readonly #causes = new Set<Promise<void>>();
  #dead: OctavoError | undefined;
  #destroyed = false;

  constructor(origin: GPU, adapter: AdapterDescription, gpu: GPUDevice) {
    this.origin = origin;
    this.adapter = adapter;
    this.gpu = gpu;
    this.lost = new Promise((resolve) => {
      void gpu.lost.then((info) => {
        if (this.#destroyed) return;
        const error = lostError(adapter.name, info.message || info.reason || 'no reason given');
        this.#dead = error;
        resolve(error);
      });
    });
    gpu.onuncapturederror = (event) => {
      event.preventDefault();
      this.#consequence ??= classify(event.error);
    };
  }

  get alive(): boolean {
    return this.#dead === undefined;
  }

  /** Throws `DeviceError('lost')` on a dead device, and once the failure that came since the last check. */
  check(): void {
    if (this.#dead !== undefined) throw this.#dead;
    if (this.#failure === undefined && (this.#consequence === undefined || this.#causes.size > 0)) return;
    const failure = this.#failure ?? this.#consequence;
    this.#failure = undefined;
    this.#consequence = undefined;
    throw failure;
  }

  /** Keeps the first failure that no caller waited for; the next call throws it. */
  fail(error: OctavoError): void {
    this.#failure ??= error;
  }

  /** Learns later whether something was made; `cause` settles without an error after calling `fail` if need be. */
  await(cause: Promise<void>): void {
    this.#causes.add(cause);
    void cause.finally(() => this.#causes.delete(cause));
  }

  /** Resolves when everything asked for was made or failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#causes);
  }

  /** The error of a promise that rejected because the device went away, or a failure of its own. */
  explain(cause: unknown): OctavoError {
    if (this.#dead !== undefined) return this.#dead;
    if (cause instanceof DeviceError) return cause;
    return lostError(this.adapter.name, cause instanceof Error ? cause.message : String(cause));
  }

  /** Reports what `make` does wrong as a failure; resolves when that is known. */
  guard(filter: GPUErrorFilter, what: string): () => Promise<OctavoError | undefined> {
    this.gpu.pushErrorScope(filter);
    return async () => {
      try {
        const error = await this.gpu.popErrorScope();
        return error === null ? undefined : classify(error, what);
      } catch (cause) {
        return this.explain(cause);
      }
    };
  }

  destroy(): void {
    this.#destroyed = true;
    this.#dead ??= new InputError('destroyed', 'The backend was destroyed; create a new one');
    this.gpu.destroy();
  }
}

export async function openDevice(options: DeviceOptions): Promise<Device> {
  const adapter = await options.gpu.requestAdapter(
    options.powerPreference === undefined ? {} : { powerPreference: options.powerPreference },
  );
  if (adapter === null) {
    throw new DeviceError(
      'unavailable',
      "WebGPU has no adapter here; use device: 'wasm', or enable the browser's GPU acceleration",
    );
  }
  const requiredLimits: Record<string, number> = {};
  if (options.defaultLimits !== true) for (const name of LIMITS) requiredLimits[name] = adapter.limits[name];
  const requiredFeatures = FEATURES.filter((name) => adapter.features.has(name));
  try {
    const gpu = await adapter.requestDevice({ label: options.label ?? 'octavo', requiredLimits, requiredFeatures });
    return new Device(options.gpu, describeAdapter(adapter), gpu);
  } catch (cause) {
    const { name } = describeAdapter(adapter);
    throw new DeviceError(
      'unavailable',
      `WebGPU: ${name} gives no device; use device: 'wasm', or reload the page`,
      { adapter: name },
      { cause },
    );
  }
}

function lostError(adapter: string, reason: string): DeviceError {
  return new DeviceError(
    'lost',
    `The GPU device (${adapter}) is lost: ${reason}. Resume on a new device or on WASM with model.recover()`,
    {
      adapter,
      reason,
    },
  );
}

function classify(error: GPUError, what = 'an operation'): DeviceError {
  if (error.constructor.name === 'GPUOutOfMemoryError') {
    return new DeviceError(
      'out-of-memory',
      `GPU: no memory for ${what}: ${error.message}; use a smaller model, weight format or context`,
    );
  }
  return new DeviceError('shader', `GPU: ${what} is invalid: ${error.message}`);
}
