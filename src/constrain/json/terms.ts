/** JSON texts of the values that a schema allows, as terms. */
import { InputError } from '../../errors.ts';
import { compileExpression } from '../compile-expression.ts';
import type { JsonSchema } from '../grammar.ts';
import { parseExpression } from '../expression.ts';
import type { Library } from '../library.ts';
import { choice, later, sequence, type Term } from '../terms.ts';
import { SchemaDocument } from './document.ts';
import { Resolver, withDependents, type Alternative, type Node, type ObjectAlternative } from './resolve.ts';

/** White space within lists and objects: none, a space, or a new line and what it is indented by. Bounded, or a model could write it for ever. */
const GAP = ' ?|\\n(?: {0,64}|\\t{0,32})';

/** Throws `InputError('argument')` for what is not supported, and where no value fits. */
export function jsonTerm(schema: JsonSchema, library: Library): Term {
  const root = new Resolver(new SchemaDocument(schema), library).resolve();
  if (!root.possible)
    throw new InputError(
      'argument',
      'responseConstraint: no JSON value that ends fits the schema; look for false, or for required properties that need themselves',
    );
  return new Writer(library).node(root);
}

class Writer {
  readonly #library: Library;
  readonly #nodes = new Map<Node, Term>();
  readonly #gap: Term;
  readonly #space: Term;

  constructor(library: Library) {
    this.#library = library;
    this.#gap = this.#white(GAP);
    this.#space = this.#white(' ?');
  }

  /** Precondition: some value of it is possible. */
  node(node: Node): Term {
    let term = this.#nodes.get(node);
    if (term === undefined) {
      term = later(() => choice(alternativesOf(node).flatMap((one) => this.#alternative(one))));
      this.#nodes.set(node, term);
    }
    return term;
  }

  #alternative(alternative: Alternative): readonly Term[] {
    switch (alternative.kind) {
      case 'text':
        return [this.#library.json(alternative.text)];
      case 'number':
        return [this.#library.plain(alternative.key, () => alternative.language)];
      case 'string':
        return [
          sequence(
            this.#library.text('"'),
            this.#library.content(alternative.key, () => alternative.language),
          ),
        ];
      case 'length':
        return [sequence(this.#library.text('"'), this.#library.string(alternative.least, alternative.most))];
      case 'array':
        return this.#array(alternative);
      case 'object':
        return this.#object(alternative);
      default:
        return alternative satisfies never;
    }
  }

  #array({ prefix, rest, least, most, unique }: Extract<Alternative, { kind: 'array' }>): readonly Term[] {
    if (unique !== undefined) return [this.#unique(unique, least, most)];
    const impossible = prefix.findIndex((node) => !node.possible);
    const last = Math.min(most, impossible >= 0 ? impossible : rest.possible ? Infinity : prefix.length);
    if (last < least) return [];
    /** Behind the prefix and what must be there, places do not differ. */
    const saturated = last === Infinity ? Math.max(prefix.length, least) : Infinity;
    const close = sequence(this.#gap, this.#library.text(']'));
    const known = new Map<number, Term>();
    const item = (count: number): Term =>
      sequence(
        this.node(prefix[count] ?? rest),
        later(() => after(Math.min(count + 1, saturated))),
      );
    const after = (count: number): Term => {
      let term = known.get(count);
      if (term === undefined) {
        const more = sequence(this.#library.text(','), this.#gap, item(count));
        term = choice([...(count >= least ? [close] : []), ...(count < last ? [more] : [])]);
        known.set(count, term);
      }
      return term;
    };
    const begin = [...(least === 0 ? [close] : []), ...(last > 0 ? [sequence(this.#gap, item(0))] : [])];
    return [sequence(this.#library.text('['), choice(begin))];
  }

  /** A list of different values out of a few. */
  #unique(texts: readonly string[], least: number, most: number): Term {
    const close = sequence(this.#gap, this.#library.text(']'));
    const known = new Map<bigint, Term>();
    const items = (seen: bigint): readonly Term[] =>
      texts.flatMap((text, i) => {
        const bit = 1n << BigInt(i);
        return seen & bit
          ? []
          : [
              sequence(
                this.#library.json(text),
                later(() => after(seen | bit)),
              ),
            ];
      });
    const after = (seen: bigint): Term => {
      let term = known.get(seen);
      if (term === undefined) {
        const count = bits(seen);
        const more = count < most ? items(seen) : [];
        term = choice([
          ...(count >= least ? [close] : []),
          ...(more.length > 0 ? [sequence(this.#library.text(','), this.#gap, choice(more))] : []),
        ]);
        known.set(seen, term);
      }
      return term;
    };
    const begin = [
      ...(least === 0 ? [close] : []),
      ...(most > 0 && texts.length > 0 ? [sequence(this.#gap, choice(items(0n)))] : []),
    ];
    return sequence(this.#library.text('['), choice(begin));
  }

  /** Properties in any order, the listed ones once each. */
  #object(alternative: ObjectAlternative): readonly Term[] {
    const { names, nodes, required, least, most } = alternative;
    const others = alternative.others.filter(({ node }) => node.possible);
    const needed = withDependents(alternative, required);
    if (needed === undefined || needed.size > most) return [];
    const close = sequence(this.#gap, this.#library.text('}'));
    const colon = sequence(this.#library.text(':'), this.#space);
    const values = names.map((name, i) => {
      const node = nodes[i];
      return node?.possible === true
        ? sequence(this.#library.json(`${JSON.stringify(name)}:`), this.#space, this.node(node))
        : undefined;
    });
    const unlisted = others.map(({ key, language, node }) =>
      sequence(
        this.#library.text('"'),
        this.#library.content(key, () => language),
        colon,
        this.node(node),
      ),
    );
    /** Others are counted as far as it matters. */
    const counted = most < Infinity ? most : least;
    const known = new Map<string, Term>();
    /** What must be there in the end, once these are. */
    const wanted = (seen: ReadonlySet<number>): ReadonlySet<number> | undefined =>
      withDependents(alternative, new Set([...needed, ...seen]));
    const after = (seen: ReadonlySet<number>, extra: number): Term => {
      const key = `${[...seen].sort((a, b) => a - b).join()} ${extra}`;
      let term = known.get(key);
      if (term === undefined) {
        const all = wanted(seen) ?? seen;
        const ends = all.size === seen.size && seen.size + extra >= least;
        const more = members(seen, extra);
        term = choice([
          ...(ends ? [close] : []),
          ...(more.length > 0 ? [sequence(this.#library.text(','), this.#gap, choice(more))] : []),
        ]);
        known.set(key, term);
      }
      return term;
    };
    const members = (seen: ReadonlySet<number>, extra: number): readonly Term[] => {
      const out: Term[] = [];
      values.forEach((value, i) => {
        if (value === undefined || seen.has(i)) return;
        const next = new Set([...seen, i]);
        const all = wanted(next);
        if (all === undefined || all.size + extra > most) return;
        out.push(
          sequence(
            value,
            later(() => after(next, extra)),
          ),
        );
      });
      if ((wanted(seen) ?? seen).size + extra + 1 <= most)
        for (const one of unlisted)
          out.push(
            sequence(
              one,
              later(() => after(seen, Math.min(extra + 1, counted))),
            ),
          );
      return out;
    };
    const none = new Set<number>();
    const first = members(none, 0);
    const begin = [
      ...(needed.size === 0 && least === 0 ? [close] : []),
      ...(first.length > 0 ? [sequence(this.#gap, choice(first))] : []),
    ];
    return begin.length === 0 ? [] : [sequence(this.#library.text('{'), choice(begin))];
  }

  #white(source: string): Term {
    return this.#library.plain(`/${source}/`, () =>
      compileExpression(parseExpression(source, 'u', 'white space'), false),
    );
  }
}

function alternativesOf({ alternatives }: Node): readonly Alternative[] {
  return typeof alternatives === 'object' ? alternatives : [];
}

function bits(of: bigint): number {
  let count = 0;
  for (let left = of; left > 0n; left &= left - 1n) count++;
  return count;
}
