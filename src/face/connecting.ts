/** Connecting to a server, as the page calls it. Apps that connect to none do not download it. */
import { agreed, connectTo, type FallbackOptions, type ServerOptions } from '../remote/index.ts';
import { Caller } from '../worker/caller.ts';
import { misfit, type Field, type ShapeOf } from './check.ts';
import type { OctavoModel } from './model.ts';
import type { ConnectOptions, MakeModel } from './octavo.ts';
import { ABORTABLE } from './options.ts';

const TEXT: Field = { is: 'string' };
const COUNT: Field = { number: [1, 2 ** 31 - 1], whole: true };

const SERVER: ShapeOf<Required<ServerOptions>> = {
  baseURL: TEXT,
  model: TEXT,
  apiKey: TEXT,
  headers: { is: 'object' },
  fetch: { is: 'function' },
  timeout: COUNT,
  retries: { number: [0, 100], whole: true },
  contextWindow: COUNT,
  images: { is: 'boolean' },
};
const CONNECT: ShapeOf<Required<ConnectOptions>> = { ...SERVER, ...ABORTABLE };
const FALLBACK: ShapeOf<Required<FallbackOptions>> = {
  ...SERVER,
  consent: { anyOf: [{ is: 'boolean' }, { is: 'function' }] },
};

/** `reason` says why the model is on a server. */
export async function connect(
  made: MakeModel,
  options: ConnectOptions,
  reason = 'Octavo.connect was called',
): Promise<OctavoModel> {
  const problem = misfit('connect', options, CONNECT);
  if (problem !== undefined) return problem;
  const { signal, ...server } = options;
  const { endpoint, info } = await connectTo(server, reason, signal);
  return made(new Caller(endpoint), info);
}

/** Runs a load; where it fails because of the device, and the app agrees, the model is on the server. */
export async function orConnect(
  made: MakeModel,
  fallback: FallbackOptions,
  signal: AbortSignal | undefined,
  load: () => Promise<OctavoModel>,
): Promise<OctavoModel> {
  const problem = misfit('load: fallback', fallback, FALLBACK);
  if (problem !== undefined) return problem;
  try {
    return await load();
  } catch (error) {
    const reason = await agreed(error, fallback);
    if (reason === undefined) throw error;
    const { consent: _consent, ...server } = fallback;
    return connect(made, { ...server, signal }, reason);
  }
}
