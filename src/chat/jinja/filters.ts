/** Jinja's filters. */
import type { Budget } from './budget.ts';
import { TemplateError } from './error.ts';
import { percent } from './format.ts';
import { asCount, asText, capitalize, costOf, isSpace, joined, replace, title } from './methods.ts';
import { concat, EMPTY, join, Text } from './text.ts';
import {
  compare,
  Dict,
  equal,
  isList,
  isNumber,
  itemsOf,
  lengthOf,
  Namespace,
  print,
  toJson,
  truthy,
  typeName,
  type Arguments,
  type Value,
} from './values.ts';

/** What filters that apply others are given. */
export interface FilterContext {
  readonly budget: Budget;
  filter(name: string, value: Value, given: Arguments): Value;
  test(name: string, value: Value, given: readonly Value[]): boolean;
}

type Filter = (value: Value, given: Arguments, context: FilterContext) => Value;

/** The argument at a place, or of a name. */
function argument({ list, named }: Arguments, at: number, name: string): Value {
  return at < list.length ? list[at] : named.get(name);
}

const onText =
  (change: (text: Text, given: Arguments, context: FilterContext) => Value): Filter =>
  (value, given, context) => {
    const text = print(value, context.budget);
    context.budget.spend(costOf(text));
    return change(text, given, context);
  };

const onItems =
  (change: (items: readonly Value[], given: Arguments, context: FilterContext) => Value): Filter =>
  (value, given, context) => {
    const items = itemsOf(value, context.budget);
    context.budget.spend(items.length);
    return change(items, given, context);
  };

/** `a.b` of an item, as map, sort and selectattr name it. */
function attributeOf(item: Value, path: Value): Value {
  if (typeof path === 'number') return isList(item) ? item[path] : undefined;
  return asText(path, 'attribute')
    .text.split('.')
    .reduce<Value>((value, name) => {
      if (value instanceof Dict) return value.get(new Text(name));
      if (value instanceof Namespace) return value.values.get(name);
      return isList(value) ? value[Number(name)] : undefined;
    }, item);
}

/** What items are sorted or told apart by. */
function keyed(path: Value, folds: boolean): (item: Value) => Value {
  return (item) => {
    const key = path === undefined || path === null ? item : attributeOf(item, path);
    return folds && key instanceof Text ? key.map((text) => text.toLowerCase()) : key;
  };
}

function sorted(items: readonly Value[], key: (item: Value) => Value, reverse: boolean, budget: Budget): Value[] {
  const order = items
    .map((item) => ({ item, key: key(item) }))
    .sort((a, b) => compare(a.key, b.key, budget) * (reverse ? -1 : 1));
  return order.map(({ item }) => item);
}

const selects =
  (wanted: boolean, byAttribute: boolean): Filter =>
  (value, { list }, { budget, test }) => {
    const [path, name, ...more] = byAttribute ? list : [undefined, ...list];
    // None and the like select nothing, as in Jinja.
    return itemsOf(truthy(value) ? value : [], budget).filter((item) => {
      const subject = byAttribute ? attributeOf(item, path) : item;
      return (name === undefined ? truthy(subject) : test(asText(name, 'select').text, subject, more)) === wanted;
    });
  };

const extreme = (sign: number): Filter =>
  onItems((items, given, { budget }) => {
    const key = keyed(given.named.get('attribute'), true);
    return items.reduce<Value>(
      (best, item, i) => (i === 0 || sign * compare(key(item), key(best), budget) > 0 ? item : best),
      undefined,
    );
  });

function whole(value: Value, fallback: Value): Value {
  const found =
    value instanceof Text ? Number.parseFloat(value.text.trim() || 'x') : isNumber(value) ? Number(value) : NaN;
  return Number.isFinite(found) ? Math.trunc(found) : (fallback ?? 0);
}

function indented(text: Text, given: Arguments, budget: Budget): Text {
  const width = argument(given, 0, 'width') ?? 4;
  const unit = width instanceof Text ? width : new Text(' '.repeat(Math.min(100, Math.max(0, Number(width)))));
  const lines = text.split('\n', budget);
  budget.grow(text.length + lines.length * unit.length);
  const first = truthy(argument(given, 1, 'first'));
  const blank = truthy(argument(given, 2, 'blank'));
  return join(
    lines.map((line, i) => ((i === 0 ? first : line.length > 0 || blank) ? concat([unit, line]) : line)),
    new Text('\n'),
  );
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};
const escaped = onText((text) =>
  text.map((run) => run.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)),
);
const length = onItems((items) => items.length);
const fallback: Filter = (value, given) =>
  value === undefined || (truthy(argument(given, 1, 'boolean')) && !truthy(value))
    ? (argument(given, 0, 'default_value') ?? EMPTY)
    : value;

export const filters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  [
    'trim',
    onText((text, { list: [characters] }) =>
      text.trim(characters instanceof Text ? (c) => characters.text.includes(c) : isSpace),
    ),
  ],
  ['upper', onText((text) => text.map((run) => run.toUpperCase()))],
  ['lower', onText((text) => text.map((run) => run.toLowerCase()))],
  ['title', onText((text) => text.mapWhole(title))],
  ['capitalize', onText((text) => text.mapWhole(capitalize))],
  ['replace', onText((text, given, { budget }) => replace(text, given, budget))],
  ['string', onText((text) => text)],
  ['safe', onText((text) => text)],
  ['escape', escaped],
  ['e', escaped],
  ['forceescape', escaped],
  ['format', onText((text, given, { budget }) => percent(text, given, budget))],
  ['indent', onText((text, given, { budget }) => indented(text, given, budget))],
  ['wordcount', onText((text) => text.text.match(/\w+/gu)?.length ?? 0)],
  ['urlencode', onText((text) => text.map((run) => encodeURIComponent(run.toWellFormed()).replaceAll('%2F', '/')))],
  [
    'truncate',
    onText((text, given) => {
      const most = asCount(argument(given, 0, 'length'), 255);
      const end = asText(argument(given, 2, 'end') ?? new Text('...'), 'truncate');
      if (text.length <= most + 5) return text;
      const cut = text.slice(0, Math.max(0, most - end.length));
      const space = truthy(argument(given, 1, 'killwords')) ? -1 : cut.text.lastIndexOf(' ');
      return concat([space < 0 ? cut : cut.slice(0, space), end]);
    }),
  ],
  [
    'tojson',
    (value, given, { budget }) => {
      const separators = given.named.get('separators');
      const indent = argument(given, 0, 'indent');
      const [item, colon] = isList(separators) ? separators : [];
      const layout = {
        indent:
          indent instanceof Text
            ? indent
            : isNumber(indent)
              ? new Text(' '.repeat(Math.min(16, Math.max(0, Number(indent)))))
              : undefined,
        item: item instanceof Text ? item : new Text(isNumber(indent) || indent instanceof Text ? ',' : ', '),
        colon: colon instanceof Text ? colon : new Text(': '),
        sorted: truthy(given.named.get('sort_keys')),
        ascii: truthy(given.named.get('ensure_ascii')),
      };
      return toJson(value, layout, budget);
    },
  ],
  [
    'length',
    (value, given, context) =>
      value instanceof Dict || value instanceof Text ? lengthOf(value) : length(value, given, context),
  ],
  [
    'count',
    (value, given, context) =>
      value instanceof Dict || value instanceof Text ? lengthOf(value) : length(value, given, context),
  ],
  ['list', onItems((items) => [...items])],
  ['first', onItems(([item]) => item)],
  ['last', onItems((items) => items.at(-1))],
  [
    'reverse',
    (value, _given, { budget }) =>
      value instanceof Text
        ? concat([...(itemsOf(value, budget) as Text[])].reverse())
        : [...itemsOf(value, budget)].reverse(),
  ],
  [
    'join',
    onItems((items, given, { budget }) => {
      const path = argument(given, 1, 'attribute');
      const parts = path === undefined ? items : items.map((item) => attributeOf(item, path));
      return joined(parts, print(argument(given, 0, 'd') ?? EMPTY, budget), budget);
    }),
  ],
  [
    'sort',
    onItems((items, given, { budget }) =>
      sorted(
        items,
        keyed(argument(given, 2, 'attribute'), !truthy(argument(given, 1, 'case_sensitive'))),
        truthy(argument(given, 0, 'reverse')),
        budget,
      ),
    ),
  ],
  [
    'unique',
    onItems((items, given, { budget }) => {
      const key = keyed(argument(given, 1, 'attribute'), !truthy(argument(given, 0, 'case_sensitive')));
      const kept: { readonly item: Value; readonly key: Value }[] = [];
      for (const item of items) {
        const mine = key(item);
        if (!kept.some((other) => equal(other.key, mine, budget))) kept.push({ item, key: mine });
      }
      return kept.map(({ item }) => item);
    }),
  ],
  ['max', extreme(1)],
  ['min', extreme(-1)],
  [
    'sum',
    onItems((items, given) => {
      const path = argument(given, 0, 'attribute');
      return items.reduce<number>(
        (sum, item) => sum + Number(path === undefined ? item : attributeOf(item, path)),
        Number(argument(given, 1, 'start') ?? 0),
      );
    }),
  ],
  [
    'map',
    onItems((items, given, { filter }) => {
      const path = given.named.get('attribute');
      if (path !== undefined) return items.map((item) => attributeOf(item, path) ?? given.named.get('default'));
      const [name, ...list] = given.list;
      return items.map((item) => filter(asText(name, 'map').text, item, { list, named: given.named }));
    }),
  ],
  ['select', selects(true, false)],
  ['reject', selects(false, false)],
  ['selectattr', selects(true, true)],
  ['rejectattr', selects(false, true)],
  [
    'groupby',
    onItems((items, given, { budget }) => {
      const key = keyed(argument(given, 0, 'attribute'), false);
      const groups: [Value, Value[]][] = [];
      for (const item of sorted(items, key, false, budget)) {
        const last = groups.at(-1);
        if (last !== undefined && equal(last[0], key(item), budget)) last[1].push(item);
        else groups.push([key(item), [item]]);
      }
      return groups;
    }),
  ],
  [
    'batch',
    onItems((items, { list: [size] }) => {
      const count = Math.max(1, asCount(size, 1));
      return Array.from({ length: Math.ceil(items.length / count) }, (_, i) => items.slice(i * count, (i + 1) * count));
    }),
  ],
  ['items', (value) => (value === undefined ? [] : asDict(value, 'items').items())],
  [
    'dictsort',
    (value, given, { budget }) => {
      const at = print(argument(given, 1, 'by'), budget).text === 'value' ? 1 : 0;
      const key = keyed(at, !truthy(argument(given, 0, 'case_sensitive')));
      return sorted(asDict(value, 'dictsort').items(), key, truthy(argument(given, 2, 'reverse')), budget);
    },
  ],
  ['default', fallback],
  ['d', fallback],
  ['int', (value, given) => whole(value, argument(given, 0, 'default'))],
  [
    'float',
    (value, given) => {
      const found = value instanceof Text ? Number(value.text.trim() || 'x') : isNumber(value) ? Number(value) : NaN;
      return Number.isFinite(found) ? found : (argument(given, 0, 'default') ?? 0);
    },
  ],
  ['abs', (value) => Math.abs(asNumber(value, 'abs'))],
  [
    'round',
    (value, given) => {
      const scale = 10 ** Math.min(15, asCount(argument(given, 0, 'precision'), 0));
      const how = argument(given, 1, 'method');
      const scaled = asNumber(value, 'round') * scale;
      const name = how instanceof Text ? how.text : 'common';
      return (name === 'ceil' ? Math.ceil(scaled) : name === 'floor' ? Math.floor(scaled) : Math.round(scaled)) / scale;
    },
  ],
]);

function asNumber(value: Value, name: string): number {
  if (isNumber(value)) return Number(value);
  throw new TemplateError(`${name} needs a number, not ${typeName(value)}`);
}

function asDict(value: Value, name: string): Dict {
  if (value instanceof Dict) return value;
  throw new TemplateError(`${name} needs a dictionary, not ${typeName(value)}`);
}
