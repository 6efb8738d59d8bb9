/** Whether a load that failed on the device may go to a server. */
import type { ServerOptions } from './settings.ts';

/** A server that runs a model which this device cannot, and the consent to use it. */
export interface FallbackOptions extends ServerOptions {
  /**
   * Whether what is said may leave the device: true, or a function that is told why the device cannot run the model, and asks the person. Without
   * consent the load fails as it would without a fallback.
   */
  readonly consent: boolean | ((reason: string) => boolean | Promise<boolean>);
}

/** What a device cannot do; everything else (an abort, a damaged file, a wrong option) is told. */
const CANNOT: ReadonlySet<string> = new Set([
  'DeviceError unavailable',
  'DeviceError out-of-memory',
  'DeviceError shader',
  'DeviceError self-check',
  'DeviceError lost',
  'ModelError architecture',
  'FileError missing',
  'FileError unsupported',
]);

/** Why the device cannot run the model, where the app agrees that a server does; undefined where the load is to fail with its error. */
export async function agreed(error: unknown, { consent }: FallbackOptions): Promise<string | undefined> {
  const { name, code, message } = error as {
    readonly name?: string;
    readonly code?: string;
    readonly message?: string;
  };
  if (!CANNOT.has(`${name} ${code}`)) return undefined;
  const reason = `the device cannot run the model: ${message}`;
  const yes = typeof consent === 'function' ? await consent(reason) : consent;
  return yes ? reason : undefined;
}
