/** A request's body, bounded, and its members by name and type; null stands for what is not given, as with OpenAI. */
import { refusal } from './problem.ts';

/** Reads a body as a JSON object. Throws what `problemResponse` answers with 400 or 413. */
export async function readBody(request: Request, most: number): Promise<Fields> {
  const tooLarge = refusal(413, `The body has more than ${most} bytes; send less, or raise maxBody`, {
    code: 'body_too_large',
  });
  if (Number(request.headers.get('content-length') ?? 0) > most) throw tooLarge;
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  const reader = request.body?.getReader();
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done) break;
    bytes += value.length;
    if (bytes > most) {
      void reader?.cancel();
      throw tooLarge;
    }
    text += decoder.decode(value, { stream: true });
  }
  let body: unknown;
  try {
    body = JSON.parse(text + decoder.decode());
  } catch {
    throw refusal(400, 'The body is not valid JSON', { code: 'invalid_json' });
  }
  if (!isObject(body)) throw refusal(400, 'The body must be a JSON object', { code: 'invalid_json' });
  return new Fields(body);
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;

  /** `path`: where in the body the object stands. */
  constructor(values: Readonly<Record<string, unknown>>, path = '') {
    this.#values = values;
    this.#path = path;
  }

  /** The value, undefined where it is not given. */
  value(name: string): unknown {
    return (Object.hasOwn(this.#values, name) ? this.#values[name] : undefined) ?? undefined;
  }

  /** Refuses names that are not among `known`. */
  only(...known: readonly (readonly string[])[]): void {
    const names = new Set(known.flat());
    const other = Object.keys(this.#values).find((name) => !names.has(name));
    if (other === undefined) return;
    const param = this.path(other);
    throw refusal(400, `Unrecognized request argument supplied: ${param.slice(0, 100)}`, {
      param: param.slice(0, 100),
      code: 'unknown_parameter',
    });
  }

  path(name: string | number): string {
    return typeof name === 'number' ? `${this.#path}[${name}]` : this.#path === '' ? name : `${this.#path}.${name}`;
  }

  wrong(name: string, wanted: string): Error {
    const param = this.path(name);
    return refusal(400, `Invalid value for '${param}': expected ${wanted}`, { param, code: 'invalid_value' });
  }

  text(name: string): string | undefined {
    const value = this.value(name);
    if (value !== undefined && typeof value !== 'string') throw this.wrong(name, 'a string');
    return value;
  }

  flag(name: string): boolean | undefined {
    const value = this.value(name);
    if (value !== undefined && typeof value !== 'boolean') throw this.wrong(name, 'true or false');
    return value;
  }

  number(name: string, least: number, most: number, whole = false): number | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !(value >= least && value <= most) || (whole && !Number.isInteger(value)))
      throw this.wrong(name, `a ${whole ? 'whole ' : ''}number from ${least} to ${most}`);
    return value;
  }

  object(name: string): Fields | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (!isObject(value)) throw this.wrong(name, 'an object');
    return new Fields(value, this.path(name));
  }

  list(name: string): readonly unknown[] | undefined {
    const value = this.value(name);
    if (value !== undefined && !Array.isArray(value)) throw this.wrong(name, 'an array');
    return value;
  }

  /** A list of objects. */
  objects(name: string): readonly Fields[] | undefined {
    return this.list(name)?.map((value, index) => {
      const path = `${this.path(name)}[${index}]`;
      if (!isObject(value)) throw refusal(400, `Invalid value for '${path}': expected an object`, { param: path });
      return new Fields(value, path);
    });
  }

  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const found = choices.find((one) => one === value);
    if (found === undefined) throw this.wrong(name, `one of ${choices.map((one) => `'${one}'`).join(', ')}`);
    return found;
  }
}
