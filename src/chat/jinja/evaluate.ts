/**
 * Renders a parsed template, within a budget of steps and characters. The file is long because statements and
 * expressions call each other and share the scope and the budget; separate files would form a cycle of imports.
 */
import type { Argument, Arithmetic, Comparison, Expression, Parameter, Statement, Target } from './ast.ts';
import type { Budget } from './budget.ts';
import { TemplateError } from './error.ts';
import { filters } from './filters.ts';
import { method } from './methods.ts';
import { tests } from './tests.ts';
import { concat, Text } from './text.ts';
import {
  Callable,
  compare,
  contains,
  Dict,
  equal,
  isList,
  isNumber,
  itemsOf,
  Namespace,
  print,
  truthy,
  typeName,
  type Arguments,
  type Value,
} from './values.ts';

/** Nesting of macros. JavaScript's own stack overflows somewhat later. */
const DEEPEST_CALL = 64;

/** The variables of a block. Names that it does not have are looked up in the enclosing block. */
export class Scope {
  readonly #values = new Map<string, Value>();
  readonly #outer: Scope | undefined;
  constructor(outer?: Scope) {
    this.#outer = outer;
  }
  get(name: string): Value {
    return this.#values.has(name) ? this.#values.get(name) : this.#outer?.get(name);
  }
  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }
}

/** Why a list of statements ended. */
type Ending = 'end' | 'break' | 'continue';

export class Evaluator {
  readonly #budget: Budget;
  #output: Text[] = [];
  #calls = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  render(body: readonly Statement[], scope: Scope): Text {
    return this.#captured(() => void this.#run(body, scope));
  }

  #captured(write: () => void): Text {
    const before = this.#output;
    this.#output = [];
    try {
      write();
      return concat(this.#output);
    } finally {
      this.#output = before;
    }
  }

  #write(text: Text): void {
    this.#budget.grow(text.length);
    if (text.length > 0) this.#output.push(text);
  }

  #run(body: readonly Statement[], scope: Scope): Ending {
    for (const statement of body) {
      const ending = this.#statement(statement, scope);
      if (ending !== 'end') return ending;
    }
    return 'end';
  }

  #statement(statement: Statement, scope: Scope): Ending {
    this.#budget.spend();
    switch (statement.kind) {
      case 'output':
        this.#write(print(this.#evaluate(statement.value, scope), this.#budget));
        return 'end';
      case 'if': {
        const branch = statement.branches.find(({ test }) => truthy(this.#evaluate(test, scope)));
        return this.#run(branch?.body ?? statement.otherwise, scope);
      }
      case 'for':
        return this.#for(statement, scope);
      case 'set':
        this.#assign(statement.target, this.#evaluate(statement.value, scope), scope, statement.line);
        return 'end';
      case 'capture': {
        const text = this.#captured(() => void this.#run(statement.body, new Scope(scope)));
        this.#assign(
          statement.target,
          this.#through(statement.filters, text, scope, statement.line),
          scope,
          statement.line,
        );
        return 'end';
      }
      case 'macro':
        scope.set(statement.name, this.#macro(statement.name, statement.parameters, statement.body, scope));
        return 'end';
      case 'call-block': {
        const caller = this.#macro('caller', statement.parameters, statement.body, scope);
        const { call } = statement;
        if (call.kind !== 'call') throw new TemplateError("'{% call %}' needs a call", statement.line);
        const callee = this.#evaluate(call.callee, scope);
        const given = this.#arguments(call.arguments, scope);
        const named = new Map([...given.named, ['caller', caller]]);
        this.#write(print(this.#call(callee, { list: given.list, named }, call), this.#budget));
        return 'end';
      }
      case 'filter-block': {
        const text = this.#captured(() => void this.#run(statement.body, new Scope(scope)));
        this.#write(print(this.#through(statement.filters, text, scope, statement.line), this.#budget));
        return 'end';
      }
      case 'with': {
        const inner = new Scope(scope);
        for (const [target, value] of statement.values)
          this.#assign(target, this.#evaluate(value, scope), inner, statement.line);
        return this.#run(statement.body, inner);
      }
      case 'break':
      case 'continue':
        return statement.kind;
      default:
        return statement satisfies never;
    }
  }

  #for({ target, list, only, body, otherwise, line }: Extract<Statement, { kind: 'for' }>, scope: Scope): Ending {
    let items = itemsOf(this.#evaluate(list, scope), this.#budget);
    if (only !== undefined)
      items = items.filter((item) => {
        const inner = new Scope(scope);
        this.#assign(target, item, inner, line);
        return truthy(this.#evaluate(only, inner));
      });
    if (items.length === 0) return this.#run(otherwise, scope);
    for (let i = 0; i < items.length; i++) {
      this.#budget.spend();
      const inner = new Scope(scope);
      inner.set('loop', loop(items, i));
      this.#assign(target, items[i], inner, line);
      if (this.#run(body, inner) === 'break') break;
    }
    return 'end';
  }

  #assign(target: Target, value: Value, scope: Scope, line: number): void {
    switch (target.kind) {
      case 'name':
        scope.set(target.name, value);
        return;
      case 'attribute': {
        const object = scope.get(target.object);
        if (!(object instanceof Namespace))
          throw new TemplateError(
            `'${target.object}' is ${typeName(object)}; only a namespace's attributes can be set`,
            line,
          );
        object.values.set(target.name, value);
        return;
      }
      case 'tuple': {
        const values = itemsOf(value, this.#budget);
        if (values.length !== target.items.length)
          throw new TemplateError(`${values.length} values for ${target.items.length} names`, line);
        target.items.forEach((item, i) => this.#assign(item, values[i], scope, line));
        return;
      }
      default:
        target satisfies never;
    }
  }

  #macro(name: string, parameters: readonly Parameter[], body: readonly Statement[], scope: Scope): Callable {
    return new Callable(name, (given) => {
      const inner = new Scope(scope);
      parameters.forEach((parameter, i) => {
        const value = i < given.list.length ? given.list[i] : given.named.get(parameter.name);
        const { fallback } = parameter;
        inner.set(
          parameter.name,
          value === undefined && fallback !== undefined ? this.#evaluate(fallback, inner) : value,
        );
      });
      inner.set('caller', given.named.get('caller'));
      inner.set('varargs', given.list.slice(parameters.length));
      return this.#captured(() => void this.#run(body, inner));
    });
  }

  #through(
    list: readonly { readonly name: string; readonly arguments: readonly Argument[] }[],
    text: Text,
    scope: Scope,
    line: number,
  ): Value {
    return list.reduce<Value>(
      (value, filter) => this.#filter(filter.name, value, this.#arguments(filter.arguments, scope), line),
      text,
    );
  }

  #arguments(list: readonly Argument[], scope: Scope): Arguments {
    const byPosition: Value[] = [];
    const named = new Map<string, Value>();
    for (const { name, value } of list) {
      if (name === undefined) byPosition.push(this.#evaluate(value, scope));
      else named.set(name, this.#evaluate(value, scope));
    }
    return { list: byPosition, named };
  }

  #filter(name: string, value: Value, given: Arguments, line: number): Value {
    const filter = filters.get(name);
    if (filter === undefined)
      throw new TemplateError(
        `the filter '${name}' is not supported; supported are ${[...filters.keys()].join(', ')}`,
        line,
      );
    return this.#located(line, () =>
      filter(value, given, {
        budget: this.#budget,
        filter: (other, item, more) => this.#filter(other, item, more, line),
        test: (other, item, more) => this.#test(other, item, more, line),
      }),
    );
  }

  #test(name: string, value: Value, given: readonly Value[], line: number): boolean {
    const test = tests.get(name);
    if (test === undefined)
      throw new TemplateError(
        `the test '${name}' is not supported; supported are ${[...tests.keys()].join(', ')}`,
        line,
      );
    return this.#located(line, () => test(value, given, this.#budget));
  }

  /** Adds the line to errors of library functions. */
  #located<T>(line: number, body: () => T): T {
    try {
      return body();
    } catch (error) {
      if (error instanceof TemplateError && error.constructor === TemplateError && !error.message.startsWith('line '))
        throw new TemplateError(error.message, line);
      throw error;
    }
  }

  #call(callee: Value, given: Arguments, at: Extract<Expression, { kind: 'call' }>): Value {
    if (!(callee instanceof Callable)) {
      const name = at.callee.kind === 'name' || at.callee.kind === 'attribute' ? at.callee.name : 'what is called';
      throw new TemplateError(`'${name}' is ${typeName(callee)}, not a function that is supported`, at.line);
    }
    if (++this.#calls > DEEPEST_CALL) throw new TemplateError(`more than ${DEEPEST_CALL} nested calls`, at.line);
    try {
      return this.#located(at.line, () => callee.call(given));
    } finally {
      this.#calls--;
    }
  }

  #evaluate(expression: Expression, scope: Scope): Value {
    this.#budget.spend();
    const { line } = expression;
    switch (expression.kind) {
      case 'text':
      case 'constant':
        return expression.value;
      case 'name':
        return scope.get(expression.name);
      case 'list':
        return expression.items.map((item) => this.#evaluate(item, scope));
      case 'dict': {
        const dict = new Dict();
        for (const [key, value] of expression.entries)
          dict.set(this.#evaluate(key, scope), this.#evaluate(value, scope));
        return dict;
      }
      case 'attribute': {
        const object = this.#evaluate(expression.object, scope);
        return this.#attribute(object, expression.name, expression);
      }
      case 'item':
        return this.#item(this.#evaluate(expression.object, scope), this.#evaluate(expression.key, scope), expression);
      case 'slice':
        return this.#slice(expression, scope);
      case 'call': {
        const callee = this.#evaluate(expression.callee, scope);
        return this.#call(callee, this.#arguments(expression.arguments, scope), expression);
      }
      case 'filter': {
        const value = this.#evaluate(expression.value, scope);
        return this.#filter(expression.name, value, this.#arguments(expression.arguments, scope), line);
      }
      case 'test': {
        const value = this.#evaluate(expression.value, scope);
        const given = this.#arguments(expression.arguments, scope).list;
        return this.#test(expression.name, value, given, line) !== expression.negated;
      }
      case 'not':
        return !truthy(this.#evaluate(expression.value, scope));
      case 'negative':
      case 'positive': {
        const value = this.#evaluate(expression.value, scope);
        if (!isNumber(value)) throw new TemplateError(`${typeName(value)} has no sign`, line);
        return expression.kind === 'negative' ? -Number(value) : Number(value);
      }
      case 'and': {
        const left = this.#evaluate(expression.left, scope);
        return truthy(left) ? this.#evaluate(expression.right, scope) : left;
      }
      case 'or': {
        const left = this.#evaluate(expression.left, scope);
        return truthy(left) ? left : this.#evaluate(expression.right, scope);
      }
      case 'arithmetic':
        return this.#arithmetic(
          expression.operator,
          this.#evaluate(expression.left, scope),
          this.#evaluate(expression.right, scope),
          line,
        );
      case 'compare': {
        let left = this.#evaluate(expression.first, scope);
        for (const { operator, value } of expression.rest) {
          const right = this.#evaluate(value, scope);
          if (!this.#located(line, () => this.#compares(operator, left, right))) return false;
          left = right;
        }
        return true;
      }
      case 'choice':
        if (truthy(this.#evaluate(expression.test, scope))) return this.#evaluate(expression.met, scope);
        return expression.otherwise === undefined ? undefined : this.#evaluate(expression.otherwise, scope);
      default:
        return expression satisfies never;
    }
  }

  #attribute(object: Value, name: string, at: Extract<Expression, { kind: 'attribute' }>): Value {
    if (object === undefined) {
      const of = at.object.kind === 'name' || at.object.kind === 'attribute' ? `'${at.object.name}'` : 'it';
      throw new TemplateError(`'${name}' is read from ${of}, which is undefined`, at.line);
    }
    if (object instanceof Namespace) return object.values.get(name);
    return method(object, name, this.#budget) ?? (object instanceof Dict ? object.get(new Text(name)) : undefined);
  }

  #item(object: Value, key: Value, at: Extract<Expression, { kind: 'item' }>): Value {
    if (object instanceof Dict) {
      if (isList(key) || key instanceof Dict || key === undefined) return undefined;
      return (
        object.get(key) ??
        (key instanceof Text && !object.has(key) ? method(object, key.text, this.#budget) : undefined)
      );
    }
    if (isList(object) && isNumber(key)) return object.at(Number(key));
    if (object instanceof Text && typeof key === 'number') return itemsOf(object, this.#budget).at(key);
    if (object instanceof Namespace && key instanceof Text) return object.values.get(key.text);
    if (object === undefined) {
      const of = at.object.kind === 'name' || at.object.kind === 'attribute' ? `'${at.object.name}'` : 'it';
      throw new TemplateError(`an item is read from ${of}, which is undefined`, at.line);
    }
    return key instanceof Text ? method(object, key.text, this.#budget) : undefined;
  }

  #slice({ object, start, stop, step, line }: Extract<Expression, { kind: 'slice' }>, scope: Scope): Value {
    const value = this.#evaluate(object, scope);
    const bound = (expression: Expression | undefined): number | undefined => {
      const found = expression === undefined ? null : this.#evaluate(expression, scope);
      if (found === null || found === undefined) return undefined;
      if (!isNumber(found)) throw new TemplateError(`a slice from or to ${typeName(found)}`, line);
      return Number(found);
    };
    const from = bound(start);
    const to = bound(stop);
    const by = bound(step) ?? 1;
    if (by === 0) throw new TemplateError('a slice with a step of 0', line);
    if (!(value instanceof Text) && !isList(value)) throw new TemplateError(`a slice of ${typeName(value)}`, line);
    const items = itemsOf(value, this.#budget);
    this.#budget.spend(items.length >> 3);
    const n = items.length;
    const clamp = (index: number | undefined, fallback: number, least: number, most: number): number =>
      index === undefined ? fallback : Math.min(most, Math.max(least, index < 0 ? index + n : index));
    const taken: Value[] = [];
    if (by > 0) for (let i = clamp(from, 0, 0, n); i < clamp(to, n, 0, n); i += by) taken.push(items[i]);
    else for (let i = clamp(from, n - 1, -1, n - 1); i > clamp(to, -1, -1, n - 1); i += by) taken.push(items[i]);
    return value instanceof Text ? concat(taken as Text[]) : taken;
  }

  #arithmetic(operator: Arithmetic, left: Value, right: Value, line: number): Value {
    if (operator === '~') {
      const parts = [print(left, this.#budget), print(right, this.#budget)];
      this.#budget.grow(parts.reduce((sum, part) => sum + part.length, 0));
      return concat(parts);
    }
    if (operator === '+' && left instanceof Text && right instanceof Text) {
      this.#budget.grow(left.length + right.length);
      return concat([left, right]);
    }
    if (operator === '+' && isList(left) && isList(right)) {
      this.#budget.spend(left.length + right.length);
      return [...left, ...right];
    }
    if (operator === '%' && left instanceof Text)
      return this.#filter('format', left, { list: isList(right) ? right : [right], named: new Map() }, line);
    if (operator === '*' && (left instanceof Text || isList(left)) && typeof right === 'number')
      return this.#repeated(left, right, line);
    if (!isNumber(left) || !isNumber(right))
      throw new TemplateError(`'${operator}' between ${typeName(left)} and ${typeName(right)}`, line);
    return calculate(operator, Number(left), Number(right), line);
  }

  #repeated(value: Text | readonly Value[], times: number, line: number): Value {
    const count = Math.max(0, times);
    if (!Number.isInteger(count)) throw new TemplateError(`${times} repetitions; a whole number is needed`, line);
    if (value instanceof Text) this.#budget.grow(value.length * count);
    this.#budget.spend(value.length === 0 ? 0 : count);
    if (!(value instanceof Text)) this.#budget.spend(value.length * count);
    if (value.length === 0) return value;
    return value instanceof Text
      ? concat(Array.from({ length: count }, () => value))
      : Array.from({ length: count }, () => value).flat(1);
  }

  #compares(operator: Comparison, left: Value, right: Value): boolean {
    switch (operator) {
      case '==':
        return equal(left, right, this.#budget);
      case '!=':
        return !equal(left, right, this.#budget);
      case 'in':
        return contains(right, left, this.#budget);
      case 'not in':
        return !contains(right, left, this.#budget);
      default: {
        const order = compare(left, right, this.#budget);
        return operator === '<'
          ? order < 0
          : operator === '>'
            ? order > 0
            : operator === '<='
              ? order <= 0
              : order >= 0;
      }
    }
  }
}

function calculate(operator: Exclude<Arithmetic, '~'>, left: number, right: number, line: number): number {
  if (right === 0 && (operator === '/' || operator === '//' || operator === '%'))
    throw new TemplateError('a division by zero', line);
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    case '//':
      return Math.floor(left / right);
    // The sign of the divisor, as in Python.
    case '%':
      return ((left % right) + right) % right;
    case '**':
      return left ** right;
    default:
      return operator satisfies never;
  }
}

/** What the body of a loop knows about the loop. */
function loop(items: readonly Value[], i: number): Namespace {
  const { length } = items;
  const facts = new Namespace();
  const values: readonly (readonly [string, Value])[] = [
    ['index', i + 1],
    ['index0', i],
    ['revindex', length - i],
    ['revindex0', length - i - 1],
    ['first', i === 0],
    ['last', i === length - 1],
    ['length', length],
    ['previtem', i === 0 ? undefined : items[i - 1]],
    ['nextitem', items[i + 1]],
    ['cycle', new Callable('cycle', ({ list }) => (list.length === 0 ? undefined : list[i % list.length]))],
  ];
  for (const [name, value] of values) facts.values.set(name, value);
  return facts;
}
