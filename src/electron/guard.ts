/**
 * The engine's end of a page's port, in the engine's process. The engine trusts its callers, and this one is a page: messages of another shape are dropped,
 * models are loaded only from where the app allows it, and what a page saves is written to its end even when the page is closed.
 */
import { InputError } from '../errors.ts';
import { packError, type Endpoint, type ToEngine } from '../worker/protocol.ts';
import { parseFileAddress, SCHEME } from './addresses.ts';
import type { MainPort } from './electron.ts';
import { domPort, type PortEndpoint } from './ports.ts';
import { LENT_SCHEME, OPENING, type Carried } from './process-api.ts';

/** Calls that run at once, far more than any page makes. */
const MOST_CALLS = 4096;
const MOST_CREDITS = 1 << 20;
const HUB = 'https://huggingface.co';
const windows = process.platform === 'win32';

export interface Guard {
  /** What the engine answers. */
  readonly endpoint: Endpoint;
  /** Resolves when no save is under way. */
  settled(): Promise<void>;
  /** Resolves when the page is gone and no save is under way. */
  readonly gone: Promise<void>;
}

export interface GuardOptions {
  /** Origins from which models may be downloaded. */
  readonly downloads: readonly string[];
  /** Takes the port on which the page's own files are read; returns the prefix of their paths. */
  readonly lend: (port: MainPort) => string;
}

type CallMessage = Extract<ToEngine, { kind: 'call' }>;

/** Calls that write what must not be lost. */
const WRITING: readonly string[] = ['saveSession', 'free'];

export function guard(port: PortEndpoint, options: GuardOptions): Guard {
  const running = new Set<number>();
  const writing = new Set<number>();
  const waiting: (() => void)[] = [];
  const check = (): void => {
    if (writing.size === 0) for (const resolve of waiting.splice(0)) resolve();
  };
  const settled = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      check();
    });
  let leave: () => void = () => {};
  const gone = new Promise<void>((resolve) => (leave = resolve));
  const endpoint: Endpoint = {
    post: (message) => {
      port.post(message);
      const { kind, id } = message as { readonly kind: string; readonly id: number };
      if (kind !== 'result' && kind !== 'error') return;
      running.delete(id);
      if (writing.delete(id)) check();
    },
    listen: (receive, failed) =>
      port.listen(
        (raw, ports) => {
          const message = readMessage(raw);
          if (message === undefined) return;
          if (message.kind !== 'call') return receive(message);
          const { id, method } = message;
          // An id that is used twice would settle the wrong call.
          if (running.has(id)) return;
          running.add(id);
          if (WRITING.includes(method)) writing.add(id);
          try {
            if (running.size > MOST_CALLS) throw new InputError('busy', `${MOST_CALLS} calls run already`);
            receive(OPENING.includes(method) ? checkedFiles(message, raw, ports, options) : message);
          } catch (error) {
            endpoint.post({ kind: 'error', id, error: packError(error) });
          }
        },
        (error) => {
          // Cancelling everything at once would end a save halfway.
          void settled().then(() => {
            failed?.(error);
            leave();
          });
        },
      ),
    close: () => port.close(),
  };
  return { endpoint, settled, gone };
}

const isCount = (value: unknown, most: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;

/** A message of the protocol's shape; undefined for everything else. */
export function readMessage(raw: unknown): ToEngine | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined;
  const { kind, id, method, params, credits, count } = raw as Readonly<Record<string, unknown>>;
  if (!isCount(id, Number.MAX_SAFE_INTEGER)) return undefined;
  switch (kind) {
    case 'call':
      if (typeof method !== 'string' || method.length > 64 || typeof params !== 'object' || params === null)
        return undefined;
      return isCount(credits, MOST_CREDITS) ? { kind, id, method, params, credits } : undefined;
    case 'cancel':
      return { kind, id };
    case 'credit':
      return isCount(count, MOST_CREDITS) ? { kind, id, count } : undefined;
    default:
      return undefined;
  }
}

interface FileParams {
  readonly input?: unknown;
  readonly fetch?: unknown;
  readonly settings?: { readonly mmproj?: unknown; readonly hub?: unknown } | null;
}

/** The call with addresses that the engine may open. Throws `InputError` for all others. */
function checkedFiles(
  message: CallMessage,
  raw: unknown,
  ports: readonly MainPort[],
  options: GuardOptions,
): CallMessage {
  const { carried = [] } = raw as { readonly carried?: readonly Carried[] };
  const portOf = (what: Carried): MainPort | undefined => ports[Array.isArray(carried) ? carried.indexOf(what) : -1];
  const lent = portOf('lent');
  const own = portOf('fetch');
  const { fetch: _fetch, ...params } = message.params as FileParams;
  const { input, settings } = params;
  const prefix = lent && options.lend(lent);
  const hub = settings?.hub ?? HUB;
  const place = (address: unknown): string => allowed(address, String(hub), prefix, options.downloads);
  const mmproj = settings?.mmproj;
  // A bare name is that of a file beside the model.
  const plain = typeof mmproj !== 'string' || /^[^/\\:]+$/.test(mmproj);
  if (mmproj !== undefined && typeof mmproj !== 'string' && mmproj !== false) throw refused(mmproj);
  return {
    ...message,
    params: {
      ...params,
      input: Array.isArray(input) ? input.map(place) : place(input),
      settings: { ...settings, ...(plain ? {} : { mmproj: place(mmproj) }) },
      ...(own === undefined ? {} : { fetch: domPort(own) }),
    },
  };
}

function refused(address: unknown): InputError {
  const given = typeof address === 'string' ? JSON.stringify(address.slice(0, 80)) : `a ${typeof address}`;
  return new InputError(
    'argument',
    `the model is ${given}; an engine in a process of its own reads files of ${SCHEME}://files and ${SCHEME}://granted, Files of the page, hf: names and addresses of allowed servers`,
    { given },
  );
}

function allowed(address: unknown, hub: string, prefix: string | undefined, downloads: readonly string[]): string {
  if (typeof address !== 'string') throw refused(address);
  if (/^(https?|hf):/i.test(address)) {
    const server = /^hf:/i.test(address) ? hub : address;
    const origin = URL.canParse(server) ? new URL(server).origin : server.slice(0, 80);
    if (!downloads.includes(origin))
      throw new InputError(
        'argument',
        `models are not downloaded from ${origin}; the app allows ${downloads.join(', ') || 'no server'} (the option 'downloads' of createDesktop)`,
        { origin },
      );
    return address;
  }
  if (prefix !== undefined && address.startsWith(`${LENT_SCHEME}:`))
    return prefix + address.slice(LENT_SCHEME.length + 1);
  const parsed = parseFileAddress(address, windows);
  if (parsed === undefined) throw refused(address);
  return pathOf(address);
}

/** How the engine names a file of the app's scheme: `files/<folder>/<path>`, with every name as it stands in the address. */
function pathOf(address: string): string {
  const { host, pathname } = new URL(address);
  return host + pathname;
}
