/** How a server is reached whose models run elsewhere. */
import { clipped, InputError } from '../errors.ts';

/** How a server of OpenAI's shape is reached. */
export interface ServerOptions {
  /** Where the server's `/chat/completions` lies, such as `http://localhost:8000/v1`; in a page it may be relative. */
  readonly baseURL: string;
  /** One of the server's models. Default: the first that it names. */
  readonly model?: string | undefined;
  /** Sent as `Authorization: Bearer`; never stored or shown. */
  readonly apiKey?: string | undefined;
  /** Sent with every request; never stored or shown. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** In place of the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
  /** Milliseconds without a byte after which a request counts as broken (default 120,000): long prompts are read before the first. */
  readonly timeout?: number | undefined;
  /** How often a request is sent again that was refused for the moment (429, 502 to 504) or did not reach the server (default 2). */
  readonly retries?: number | undefined;
  /** Most tokens of a context, where the server does not tell. */
  readonly contextWindow?: number | undefined;
  /** Whether the model takes pictures (default true; servers refuse what theirs does not). */
  readonly images?: boolean | undefined;
}

export interface Server {
  readonly base: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: typeof fetch;
  readonly timeout: number;
  readonly retries: number;
}

const DEFAULT_TIMEOUT = 120_000;
const DEFAULT_RETRIES = 2;

/** Throws `InputError('argument')` for what is no address of http or https. */
export function serverOf(options: ServerOptions): Server {
  // Callers without types may leave it out.
  const baseURL: unknown = options.baseURL;
  const { apiKey, headers = {}, timeout = DEFAULT_TIMEOUT, retries = DEFAULT_RETRIES } = options;
  const page = (globalThis as { location?: { href?: string } }).location?.href;
  const base = typeof baseURL === 'string' && URL.canParse(baseURL, page) ? new URL(baseURL, page) : undefined;
  if (base === undefined || !/^https?:$/.test(base.protocol))
    throw new InputError(
      'argument',
      `baseURL: '${clipped(String(baseURL))}' is no address; give one such as http://localhost:8000/v1`,
      {
        name: 'baseURL',
      },
    );
  if (base.username !== '' || base.password !== '')
    throw new InputError('argument', 'baseURL: it holds a password; give it as apiKey, or in headers', {
      name: 'baseURL',
    });
  // Bound, since a browser's own refuses to be called on anything else.
  const own = options.fetch ?? globalThis.fetch.bind(globalThis);
  return {
    base,
    headers: { ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }), ...headers },
    fetch: own,
    timeout,
    retries,
  };
}
