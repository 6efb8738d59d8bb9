/** Errors in OpenAI's shape: `{ error: { message, type, param, code } }` and an HTTP status. */
import { InputError } from '../errors.ts';

interface ApiError {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** A request that is refused with a status of its own; `param`: the name of what is wrong in it. */
export function refusal(
  status: number,
  message: string,
  { param, code }: { readonly param?: string; readonly code?: string } = {},
): InputError {
  return new InputError('argument', message, {
    status,
    ...(param === undefined ? {} : { name: param }),
    ...(code === undefined ? {} : { apiCode: code }),
  });
}

/** A parameter that cannot be served. */
export function unsupported(param: string, remedy: string): InputError {
  return refusal(400, `Unsupported parameter: '${param}': ${remedy}`, { param, code: 'unsupported_parameter' });
}

/** What the classes of Octavo's errors are to an HTTP client; they are known by name, since they may come from another bundle. */
const STATUS: Readonly<Record<string, number>> = {
  'InputError argument': 400,
  'InputError empty': 400,
  'InputError too-long': 400,
  'InputError busy': 429,
  'InputError destroyed': 503,
  'DeviceError lost': 503,
  'DeviceError out-of-memory': 503,
  'DeviceError unavailable': 503,
  'StorageError network': 502,
};

interface Named {
  readonly name: string;
  readonly code?: unknown;
  readonly message: string;
  readonly facts?: Readonly<Record<string, unknown>>;
}

function isNamed(error: unknown): error is Named {
  return typeof error === 'object' && error !== null && 'name' in error && 'message' in error;
}

/** Options that OpenAI calls otherwise. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  responseConstraint: 'response_format',
  templateOptions: 'chat_template_kwargs',
  count: 'n',
};

/** Names of options as OpenAI writes them: `maxTokens` is `max_tokens`. */
const openAiName = (name: string): string =>
  OTHER_NAMES[name.replace(/[./[].*$/, '')] ?? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export function problemOf(error: unknown): { readonly status: number; readonly body: ApiError } {
  const { name, code, message, facts = {} } = isNamed(error) ? error : { name: '', message: String(error) };
  const told = (fact: string): string | undefined =>
    typeof facts[fact] === 'string' && facts[fact] !== '' ? facts[fact] : undefined;
  // A picture of the request that is none.
  const image = name === 'FileError' && told('file') !== undefined;
  // The status of a server that the model itself runs on is none of this response's.
  const own = name === 'InputError' && typeof facts['status'] === 'number' ? facts['status'] : undefined;
  const status = own ?? (image ? 400 : (STATUS[`${name} ${String(code)}`] ?? 500));
  const tooLong = code === 'too-long';
  // Messages about an option begin with its name.
  const param = told('name') ?? (name === 'InputError' ? /^[a-z]+[A-Za-z]*(?=:)/.exec(message)?.[0] : undefined);
  const type = status === 429 ? 'rate_limit_error' : status < 500 ? 'invalid_request_error' : 'server_error';
  const apiCode = told('apiCode') ?? (tooLong ? 'context_length_exceeded' : image ? 'invalid_image' : undefined);
  return {
    status,
    body: {
      error: {
        message,
        type,
        param: tooLong || image ? 'messages' : param === undefined ? null : openAiName(param),
        code: apiCode ?? (status >= 500 && typeof code === 'string' ? code : null),
      },
    },
  };
}

const RETRY_SECONDS = '1';

export function problemResponse(error: unknown): Response {
  const { status, body } = problemOf(error);
  const retry = status === 429 || status === 503 ? { 'retry-after': RETRY_SECONDS } : {};
  return Response.json(body, { status, headers: retry });
}
