/**
 * Everything Octavo throws on purpose. Five classes, told apart by `name`, and within a class by `code`.
 * Constructors take facts and make the sentence: the value found, the limit, and the remedy.
 * An abort is not here: it rejects with the signal's own reason, as the web does.
 */

/** What every error carries over a worker's message channel (see `src/worker/protocol.ts`). */
export interface ErrorFacts {
  readonly [name: string]: string | number | boolean | readonly string[] | readonly number[] | undefined;
}

/** Names and texts of files reach messages, and a file may have any: longer ones are cut. */
const MOST_MESSAGE = 2000;
const MOST_FIELD = 200;

function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 3)}...`;
}

/** The base class: `code` is stable across versions, `facts` holds the numbers and names of the message. */
export class OctavoError extends Error {
  readonly code: string;
  readonly facts: ErrorFacts;
  constructor(code: string, message: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(shortened(message, MOST_MESSAGE), options);
    this.name = 'OctavoError';
    this.code = code;
    this.facts = facts;
  }
}

export type FileErrorCode = 'truncated' | 'malformed' | 'unsupported' | 'limit' | 'checksum' | 'missing';

/** A file that cannot be read as what it claims to be: names the file, the field and the byte offset. */
export class FileError extends OctavoError {
  constructor(
    code: FileErrorCode,
    at: { file: string; field: string; offset?: number },
    problem: string,
    options?: ErrorOptions,
  ) {
    const place = at.offset === undefined ? '' : ` at byte ${at.offset}`;
    const field = shortened(at.field, MOST_FIELD);
    super(code, `${at.file}: ${field}${place}: ${problem}`, { ...at, field }, options);
    this.name = 'FileError';
  }
}

export type ModelErrorCode =
  | 'architecture'
  | 'config'
  | 'tensor-missing'
  | 'tensor-shape'
  | 'tensor-type'
  | 'non-finite'
  | 'tokenizer';

/** A readable file whose content this version cannot run, or a model that computed nonsense. */
export class ModelError extends OctavoError {
  constructor(code: ModelErrorCode, problem: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(code, problem, facts, options);
    this.name = 'ModelError';
  }
}

export type InputErrorCode = 'argument' | 'empty' | 'too-long' | 'destroyed' | 'busy';

/** A call that cannot be served as it was made: names the argument, its value, the limit and the remedy. */
export class InputError extends OctavoError {
  constructor(code: InputErrorCode, problem: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(code, problem, facts, options);
    this.name = 'InputError';
  }
}

export type DeviceErrorCode = 'unavailable' | 'lost' | 'out-of-memory' | 'shader' | 'self-check';

/** The GPU, the WASM memory or a worker failed. A session survives `lost`: see `OctavoModel.recover`. */
export class DeviceError extends OctavoError {
  constructor(code: DeviceErrorCode, problem: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(code, problem, facts, options);
    this.name = 'DeviceError';
  }
}

export type StorageErrorCode = 'quota' | 'blocked' | 'network' | 'changed' | 'checksum' | 'unavailable';

/** The network or IndexedDB failed: what was asked, what was had, and what to do. */
export class StorageError extends OctavoError {
  constructor(code: StorageErrorCode, problem: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(code, problem, facts, options);
    this.name = 'StorageError';
  }
}
