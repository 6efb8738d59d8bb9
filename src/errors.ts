/**
 * All errors that Octavo throws on purpose: five classes, distinguished by `name`, and within a class by `code`.
 * Constructors take facts and compose the sentence from the value found, the limit and the remedy. Aborts are not among
 * them: a call that is aborted rejects with the signal's own reason, as is usual on the web.
 */

/** The facts of an error by their names. They are plain data, which cross from a worker to the page. */
export interface ErrorFacts {
  readonly [name: string]: string | number | boolean | readonly string[] | readonly number[] | undefined;
}

/**
 * The longest part of a message that a name or value from a file, a URL or a caller may take; such values may be of any
 * length.
 */
const LONGEST_VALUE = 200;
/** The longest message, and how much of its end is kept when it is shortened, since the remedy is at the end. */
const LONGEST_MESSAGE = 2000;
const MESSAGE_END = 400;
const MOST_LISTED = 100;

/** The text, or its beginning and its length. */
export function clipped(text: string, most = LONGEST_VALUE): string {
  return text.length <= most ? text : `${text.slice(0, most).toWellFormed()}… (${text.length} characters)`;
}

function clippedMessage(message: string): string {
  if (message.length <= LONGEST_MESSAGE) return message;
  const start = message.slice(0, LONGEST_MESSAGE - MESSAGE_END - 3).toWellFormed();
  return `${start} … ${message.slice(-MESSAGE_END).toWellFormed()}`;
}

function clippedFacts(facts: ErrorFacts): ErrorFacts {
  const fact = (value: ErrorFacts[string]): ErrorFacts[string] => {
    if (typeof value === 'string') return clipped(value, LONGEST_MESSAGE);
    if (!Array.isArray(value)) return value;
    const list = value.slice(0, MOST_LISTED) as readonly (string | number)[];
    return list.map((item) => (typeof item === 'string' ? clipped(item) : item)) as readonly string[];
  };
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, fact(value)]));
}

/** The base class: `code` is stable across versions, `facts` holds the numbers and names of the message. */
export class OctavoError extends Error {
  /** Stable across versions; each class lists its own codes. */
  readonly code: string;
  /** The numbers and names of the message: values found, limits, names of files and fields. */
  readonly facts: ErrorFacts;
  constructor(code: string, message: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(clippedMessage(message), options);
    this.name = 'OctavoError';
    this.code = code;
    this.facts = clippedFacts(facts);
  }
}

/**
 * `truncated`: the file ends early; `malformed`: it contradicts its format; `unsupported`: a variant that is not
 * read; `limit`: a count or length above what is accepted; `checksum`: not the bytes that were announced;
 * `missing`: a file or part is not there; `password`: encrypted, and the password is missing or wrong.
 */
export type FileErrorCode = 'truncated' | 'malformed' | 'unsupported' | 'limit' | 'checksum' | 'missing' | 'password';

/** A file that cannot be read as the format that it claims to have. Names the file, the field and the byte offset. */
export class FileError extends OctavoError {
  constructor(
    code: FileErrorCode,
    at: { file: string; field: string; offset?: number },
    problem: string,
    options?: ErrorOptions,
  ) {
    const place = at.offset === undefined ? '' : ` at byte ${at.offset}`;
    const field = clipped(at.field);
    super(code, `${at.file}: ${field}${place}: ${problem}`, { ...at, field }, options);
    this.name = 'FileError';
  }
}

/**
 * `architecture`: unknown to this version; `config`: a fact of the file is missing or impossible;
 * `tensor-missing`, `tensor-shape` and `tensor-type`: a weight is not there, or not as the architecture needs it;
 * `non-finite`: computed values are no numbers; `tokenizer`: its data cannot be used.
 */
export type ModelErrorCode =
  | 'architecture'
  | 'config'
  | 'tensor-missing'
  | 'tensor-shape'
  | 'tensor-type'
  | 'non-finite'
  | 'tokenizer';

/** A readable file whose content this version cannot run, or a model that computed values that are not numbers. */
export class ModelError extends OctavoError {
  constructor(code: ModelErrorCode, problem: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(code, problem, facts, options);
    this.name = 'ModelError';
  }
}

/**
 * `argument`: an option or argument is wrong; `empty`: nothing to work on; `too-long`: more tokens than the
 * context window has; `destroyed`: the model, session or document was given back; `busy`: another call has to end
 * first.
 */
export type InputErrorCode = 'argument' | 'empty' | 'too-long' | 'destroyed' | 'busy';

/** A call that cannot be served as it was made. Names the argument, its value, the limit and the remedy. */
export class InputError extends OctavoError {
  constructor(code: InputErrorCode, problem: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(code, problem, facts, options);
    this.name = 'InputError';
  }
}

/**
 * `unavailable`: the device, or a part of the platform, is not there; `lost`: it was there; `out-of-memory`: an
 * allocation failed; `shader`: a GPU program was refused; `self-check`: the GPU computes something else than the
 * CPU.
 */
export type DeviceErrorCode = 'unavailable' | 'lost' | 'out-of-memory' | 'shader' | 'self-check';

/** The GPU, the WASM memory or a worker failed. A session survives `lost`: see `OctavoModel.recover`. */
export class DeviceError extends OctavoError {
  constructor(code: DeviceErrorCode, problem: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(code, problem, facts, options);
    this.name = 'DeviceError';
  }
}

/**
 * `quota`: no space is left; `blocked`: another tab holds the database; `network`: a request failed; `changed`:
 * the file on the server is another one than before; `checksum`: what was stored or downloaded is damaged;
 * `unavailable`: nothing can be stored here.
 */
export type StorageErrorCode = 'quota' | 'blocked' | 'network' | 'changed' | 'checksum' | 'unavailable';

/** The network or the storage failed. Says what was requested, what was received, and what to do. */
export class StorageError extends OctavoError {
  constructor(code: StorageErrorCode, problem: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(code, problem, facts, options);
    this.name = 'StorageError';
  }
}
