/** Models on a server of OpenAI's shape (vLLM, llama.cpp's, Ollama, `octavo serve`). Apps that connect to none do not download it. */
import { clipped, InputError } from '../errors.ts';
import type { ModelInfo } from '../worker/api.ts';
import { portEndpoint } from '../worker/endpoints.ts';
import type { Endpoint } from '../worker/protocol.ts';
import { serveRemote } from './engine.ts';
import { sendForJson } from './http.ts';
import { serverOf, type Server, type ServerOptions } from './settings.ts';

export { agreed, type FallbackOptions } from './fallback.ts';
export type { ServerOptions } from './settings.ts';

/**
 * An engine whose models run on the server. Asks for the server's list of models, so that a wrong address or key is told at once; a server that has no
 * such list is taken as it is. Rejects with `StorageError('network')`, `InputError`, or the signal's reason.
 */
export async function connectTo(
  options: ServerOptions,
  reason: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly endpoint: Endpoint; readonly info: ModelInfo }> {
  const server = serverOf(options);
  const models = await listModels(server, signal);
  const name = options.model ?? models[0]?.id;
  if (name === undefined)
    throw new InputError('argument', `${server.base.host} names no models; give one as model`, { name: 'model' });
  const window = options.contextWindow ?? models.find(({ id }) => id === name)?.window ?? Infinity;
  const info = infoOf(server, name, window, options.images ?? true, reason);
  const { port1, port2 } = new MessageChannel();
  serveRemote(portEndpoint(port1), server, info);
  return { endpoint: portEndpoint(port2), info };
}

interface Listed {
  readonly id: string;
  /** Tokens of a context, where the server tells: vLLM's, llama.cpp's and others' names for it. */
  readonly window: number | undefined;
}

const MOST_MODELS = 10_000;
const WITHOUT_LIST: ReadonlySet<unknown> = new Set([404, 405, 501]);

async function listModels(server: Server, signal: AbortSignal | undefined): Promise<readonly Listed[]> {
  let body: unknown;
  try {
    body = await sendForJson(server, 'models', undefined, signal);
  } catch (error) {
    const { facts } = error as { readonly facts?: Readonly<Record<string, unknown>> };
    if (WITHOUT_LIST.has(facts?.['status'])) return [];
    throw error;
  }
  const { data } = (body ?? {}) as { readonly data?: unknown };
  if (!Array.isArray(data)) return [];
  return data.slice(0, MOST_MODELS).flatMap((model: unknown): Listed[] => {
    const { id, max_model_len, context_length, meta } = (model ?? {}) as Readonly<Record<string, unknown>>;
    const { n_ctx, n_ctx_train } = (meta ?? {}) as Readonly<Record<string, unknown>>;
    const window = [max_model_len, context_length, n_ctx, n_ctx_train].find(
      (one) => typeof one === 'number' && one > 0,
    );
    return typeof id === 'string' ? [{ id, window: window as number | undefined }] : [];
  });
}

function infoOf({ base }: Server, name: string, contextWindow: number, see: boolean, reason: string): ModelInfo {
  return {
    model: 1,
    name,
    fingerprint: '',
    bytes: 0,
    device: { kind: 'server', description: `${clipped(name)} at ${base.host}`, reason },
    contextWindow,
    architecture: 'unknown',
    parameters: 0,
    vocabulary: 0,
    capabilities: {
      generate: true,
      chat: true,
      see,
      embed: true,
      rerank: true,
      paint: false,
      edit: false,
      missing: ['the model runs on a server'],
    },
    embedding: undefined,
    painting: undefined,
    template: undefined,
  };
}
