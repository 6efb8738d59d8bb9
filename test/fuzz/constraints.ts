/**
 * Answers under random schemas: drawn with random logits they must be valid by ajv, and of values that were changed at random exactly those must be
 * accepted, in any tokens, that ajv accepts.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { JsonSchema } from '../../src/constrain/grammar.ts';
import { Constraints } from '../../src/constrain/index.ts';
import { InputError } from '../../src/errors.ts';
import { allows, Cutter, toyTokenizer } from '../constrain/toy.ts';
import { random, type Random } from '../support/random.ts';
import { Wrong, type Fuzzer } from './run.ts';

const SCHEMAS = 200;
/** Tokens after which an answer is ended as soon as may be, and after which it should have ended. */
const LONG = 60;
const TOO_LONG = 4000;
/** Written first by an answer that is to end. */
const CLOSING = ['}', ']', '"', '@', '.com', '0', '1', 'null', 'true', 'a', '{', '[', ':', ','];

const NAMES = ['a', 'b', 'name', 'id', 'tags', 'é', 'x y', '"'];
const PATTERNS = ['^[a-c]+$', '\\d', '^x|y$', '^[^"\\\\]{2,5}$', '^(foo|bar)*$', '^\\p{L}+$'];
const FORMATS = [
  'date',
  'time',
  'date-time',
  'uuid',
  'email',
  'ipv4',
  'ipv6',
  'uri',
  'hostname',
  'duration',
  'json-pointer',
];

/** A schema of what is supported; what contradicts itself is allowed. */
export function randomSchema(r: Random, depth = 3): JsonSchema {
  const some = (chance: number): boolean => r.uniform() < chance;
  const inner = (): JsonSchema => randomSchema(r, depth - 1);
  const kind = r.integer(0, depth <= 0 ? 6 : 12);
  switch (kind) {
    case 0:
      return { type: r.pick(['null', 'boolean', 'string', 'number', 'integer']) };
    case 1: {
      const low = r.integer(-200, 200) / r.pick([1, 1, 2, 10]);
      return {
        type: r.pick(['number', 'integer']),
        ...(some(0.6) && { [r.pick(['minimum', 'exclusiveMinimum'])]: low }),
        ...(some(0.6) && { [r.pick(['maximum', 'exclusiveMaximum'])]: low + r.integer(0, 300) }),
        ...(some(0.3) && { multipleOf: r.pick([1, 2, 3, 7, 10, 0.5, 0.25]) }),
      };
    }
    case 2: {
      const least = r.integer(0, 4);
      return {
        type: 'string',
        ...(some(0.5) && { minLength: least }),
        ...(some(0.5) && { maxLength: least + r.integer(0, 20) }),
        ...(some(0.4) && { pattern: r.pick(PATTERNS) }),
      };
    }
    case 3:
      return { type: 'string', format: r.pick(FORMATS) };
    case 4:
      return {
        enum: [1, 'a', null, 'é🙂', [1, 2], { b: true }, -0.5, 'tags', '"\\\n'].filter(() => some(0.5)).concat('z'),
      };
    case 5:
      return some(0.5) ? { const: r.pick([1, 'x', false, { a: [null] }]) } : some(0.5) ? true : {};
    case 6:
    case 7: {
      const names = NAMES.filter(() => some(0.5));
      return {
        type: 'object',
        properties: Object.fromEntries(names.map((name) => [name, inner()])),
        required: names.filter(() => some(0.5)),
        ...(some(0.6) && { additionalProperties: some(0.7) ? false : inner() }),
        ...(some(0.2) && { patternProperties: { '^t|x': inner() } }),
        ...(some(0.2) && { propertyNames: { maxLength: 3 } }),
        ...(some(0.2) && { maxProperties: r.integer(0, 6) }),
        ...(some(0.2) && { dependentRequired: { a: ['b'] } }),
      };
    }
    case 8:
    case 9:
      return {
        type: 'array',
        ...(some(0.4) && { prefixItems: [inner(), inner()] }),
        ...(some(0.7) && { items: some(0.2) ? false : inner() }),
        ...(some(0.5) && { minItems: r.integer(0, 3) }),
        ...(some(0.5) && { maxItems: r.integer(2, 5) }),
      };
    case 10:
      return { [r.pick(['anyOf', 'anyOf', 'oneOf'])]: [inner(), inner()] };
    default:
      return {
        allOf: [
          inner(),
          some(0.5) ? { minLength: 1, minItems: 1, minimum: -5 } : { type: ['object', 'array', 'string'] },
        ],
      };
  }
}

interface Case {
  readonly schema: JsonSchema;
  readonly validate: ValidateFunction;
}

export async function constraintFuzzer(): Promise<Fuzzer> {
  const tokenizer = toyTokenizer();
  const constraints = new Constraints(tokenizer, tokenizer.facts.vocabulary);
  const cutter = new Cutter(tokenizer);
  const end = tokenizer.facts.eos[0]!;
  const quote = cutter.cut('"')[0]!;
  const character = cutter.cut('Q')[0]!;
  const keys = new Map(NAMES.map((name) => [name, cutter.cut(`${JSON.stringify(name)}:`)]));
  const pattern = cutter.cut('x', random(1));
  const closing = CLOSING.map((text) => cutter.cut(text, random(1))[0]!);
  const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 9 });
  addFormats.default(ajv);
  const cases = new Map<number, Case>();

  /** The schema of a number: the first that something fits, and that is supported. */
  const caseOf = (number: number): Case => {
    let found = cases.get(number);
    for (let seed = number; found === undefined; seed += SCHEMAS) {
      const schema = randomSchema(random(seed * 7919 + 1));
      try {
        constraints.constraint({ kind: 'json', schema });
      } catch (error) {
        if (error instanceof InputError) continue;
        throw error;
      }
      found = { schema, validate: ajv.compile(schema) };
      cases.set(number, found);
    }
    return found;
  };

  const draw = (schema: JsonSchema, r: Random): string => {
    const constraint = constraints.constraint({ kind: 'json', schema });
    const drawn: number[] = [];
    const required =
      JSON.stringify(schema)
        .match(/"required":\[.*?\]|"dependentRequired":\{.*?\}/g)
        ?.join() ?? '';
    const wanted = [...keys].flatMap(([name, ids]) => (required.includes(JSON.stringify(name)) ? [ids] : []));
    /** Whether these may follow what was drawn. */
    const may = (ids: readonly number[]): boolean => {
      const again = constraints.constraint({ kind: 'json', schema });
      return [...drawn, ...ids].every((id) => again.accept(id));
    };
    const take = (id: number): void => {
      if (!constraint.accept(id)) throw new Wrong(`a token of the mask is not accepted: ${JSON.stringify(schema)}`);
      drawn.push(id);
    };
    for (let count = 0; !constraint.done; count++) {
      if (count > TOO_LONG)
        throw new Wrong(
          `an answer that does not end: …${tokenizer.decode(drawn.slice(-60))} of ${JSON.stringify(schema)}`,
        );
      const mask = constraint.mask();
      const allowed = [...Array(tokenizer.facts.vocabulary).keys()].filter((id) => allows(mask, id));
      if (allowed.length === 0) throw new Wrong(`a dead end of ${JSON.stringify(schema)}`);
      if (allows(mask, end) && (count > LONG || r.uniform() < 0.2)) break;
      // Within a string a brace is a character like others; where it cannot end yet, a pattern of names wants an x or a t.
      const within = allows(mask, character);
      const next = within ? [quote, ...pattern.filter((id) => allows(mask, id))] : closing;
      const close = count > LONG && r.uniform() < 0.9 ? next.find((id) => allows(mask, id)) : undefined;
      // A required property is not found by chance among all names.
      const name = close === quote && !within ? r.shuffle(wanted).find((ids) => may(ids)) : undefined;
      if (name !== undefined) {
        name.forEach(take);
        continue;
      }
      const id = close ?? r.pick(allowed);
      if (id === end) break;
      take(id);
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(
      Uint8Array.from(drawn.flatMap((id) => [...tokenizer.tokenBytes(id)])),
    );
  };

  const accepts = (schema: JsonSchema, text: string, r: Random): boolean => {
    const constraint = constraints.constraint({ kind: 'json', schema });
    return cutter.cut(text, r).every((id) => constraint.accept(id)) && allows(constraint.mask(), end);
  };

  return {
    async run(r) {
      const { schema, validate } = caseOf(r.integer(0, SCHEMAS));
      const text = draw(schema, r);
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        throw new Wrong(`no JSON: ${text} of ${JSON.stringify(schema)}`);
      }
      if (!validate(value))
        throw new Wrong(`not valid: ${text} of ${JSON.stringify(schema)}: ${JSON.stringify(validate.errors)}`);
      const changed = change(value, r);
      const written = JSON.stringify(changed);
      const valid = validate(JSON.parse(written));
      if (accepts(schema, written, r) !== valid && !bounded(schema, written))
        throw new Wrong(`${valid ? 'refused' : 'accepted'}: ${written} of ${JSON.stringify(schema)}`);
      return valid ? 'valid, and a changed value too' : 'valid, a changed value not';
    },
  };
}

/** Formats are narrower than ajv's, and multiples have no exponent. */
function bounded(schema: JsonSchema, text: string): boolean {
  const written = JSON.stringify(schema);
  return written.includes('"format"') || (written.includes('"multipleOf"') && /\de[+-]/.test(text));
}

/** Another value, like this one in most places. */
function change(value: unknown, r: Random): unknown {
  if (r.uniform() < 0.1) return r.pick([null, true, 0, -1.5, 1e21, 'a', 'abc', [], {}, [1], { a: 1 }]);
  if (typeof value === 'number') return r.pick([value, value + 1, -value, value / 2, Math.round(value), value * 1e10]);
  if (typeof value === 'string') return r.pick([value, `${value}x`, [...value].slice(1).join(''), '\n"\\', 'b1é']);
  if (Array.isArray(value)) {
    const list = value.map((one: unknown) => (r.uniform() < 0.3 ? change(one, r) : one));
    return r.pick([list, list.slice(1), [...list, ...list.slice(0, 1)], value]);
  }
  if (typeof value === 'object' && value !== null) {
    const entries = r
      .shuffle(Object.entries(value))
      .map(([name, one]) => [name, r.uniform() < 0.3 ? change(one, r) : one]);
    const more = r.uniform() < 0.2 ? [[r.pick([...NAMES, 'tx', 'long name']), change(1, r)]] : [];
    return Object.fromEntries([...(r.uniform() < 0.2 ? entries.slice(1) : entries), ...more]);
  }
  return value;
}
