/**
 * Parses the tokens of a template into its tree, with Jinja's precedence. The file is long because every rule of the
 * grammar is a method over one position in the tokens.
 */
import type { Argument, Arithmetic, Comparison, Expression, Parameter, Statement, Target } from './ast.ts';
import { TemplateError } from './error.ts';
import { tokenize, type Token } from './lexer.ts';
import { concat, Text } from './text.ts';

/** Nesting of expressions and blocks; published templates have about ten levels. */
const DEEPEST = 100;
const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '>', '<=', '>=']);

export function parse(template: string): readonly Statement[] {
  return new Parser(tokenize(template)).whole();
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): readonly Statement[] {
    return this.#body([]);
  }

  get #token(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '', line: 0 };
  }

  #fail(problem: string): never {
    throw new TemplateError(problem, this.#token.line);
  }

  #is(kind: Token['kind'], text: string): boolean {
    return this.#token.kind === kind && this.#token.text === text;
  }

  #skip(kind: Token['kind'], text: string): boolean {
    if (!this.#is(kind, text)) return false;
    this.#at++;
    return true;
  }

  #expect(kind: Token['kind'], text: string): void {
    if (!this.#skip(kind, text)) this.#fail(`'${text}' is expected, not '${this.#token.text || 'the end'}'`);
  }

  #name(): string {
    const { kind, text } = this.#token;
    if (kind !== 'name') return this.#fail(`a name is expected, not '${text || 'the end'}'`);
    this.#at++;
    return text;
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > DEEPEST) this.#fail(`more than ${DEEPEST} levels within one another`);
    try {
      return read();
    } finally {
      this.#depth--;
    }
  }

  /**
   * Parses statements up to a tag with one of these names, of which only the opening is read; without names, parses all
   * statements.
   */
  #body(ends: readonly string[]): readonly Statement[] {
    return this.#nested(() => {
      const body: Statement[] = [];
      for (;;) {
        const { kind, text, line } = this.#token;
        if (kind === 'end') {
          if (ends.length > 0) this.#fail(`'{% ${ends.at(-1) ?? ''} %}' is missing`);
          return body;
        }
        this.#at++;
        if (kind === 'text') body.push({ kind: 'output', line, value: { kind: 'text', line, value: new Text(text) } });
        else if (text === '{{') {
          body.push({ kind: 'output', line, value: this.#tuple(true) });
          this.#expect('close', '}}');
        } else {
          if (this.#token.kind === 'name' && ends.includes(this.#token.text)) return body;
          const statement = this.#statement();
          if (statement !== undefined) body.push(statement);
        }
      }
    });
  }

  /** Parses the body of a block, and the tag that ends it. */
  #block(end: string): readonly Statement[] {
    this.#expect('close', '%}');
    const body = this.#body([end]);
    this.#at++;
    this.#expect('close', '%}');
    return body;
  }

  #statement(): Statement | undefined {
    const { line } = this.#token;
    const name = this.#name();
    switch (name) {
      case 'if':
        return this.#if(line);
      case 'for':
        return this.#for(line);
      case 'set':
        return this.#set(line);
      case 'macro': {
        const macro = this.#name();
        const parameters = this.#parameters();
        return { kind: 'macro', line, name: macro, parameters, body: this.#block('endmacro') };
      }
      case 'call': {
        const parameters = this.#is('operator', '(') ? this.#parameters() : [];
        const call = this.#expression();
        return { kind: 'call-block', line, call, parameters, body: this.#block('endcall') };
      }
      case 'filter': {
        const filters = this.#filters();
        return { kind: 'filter-block', line, filters, body: this.#block('endfilter') };
      }
      case 'with': {
        const values: (readonly [Target, Expression])[] = [];
        while (!this.#is('close', '%}')) {
          if (values.length > 0) this.#expect('operator', ',');
          const target = this.#target();
          this.#expect('operator', '=');
          values.push([target, this.#expression()]);
        }
        return { kind: 'with', line, values, body: this.#block('endwith') };
      }
      // transformers' tag for the text of the assistant; it prints its content.
      case 'generation':
        return { kind: 'with', line, values: [], body: this.#block('endgeneration') };
      case 'break':
      case 'continue':
        this.#expect('close', '%}');
        return { kind: name, line };
      default:
        return this.#fail(
          `the construct '{% ${name} %}' is not supported; supported are if, for, set, macro, call, filter, with, raw, generation, break and continue`,
        );
    }
  }

  #if(line: number): Statement {
    const branches: { test: Expression; body: readonly Statement[] }[] = [];
    let otherwise: readonly Statement[] = [];
    for (let word = 'if'; word !== 'endif';) {
      const test = word === 'else' ? undefined : this.#tuple(true);
      this.#expect('close', '%}');
      const body = this.#body(test === undefined ? ['endif'] : ['elif', 'else', 'endif']);
      if (test === undefined) otherwise = body;
      else branches.push({ test, body });
      word = this.#name();
    }
    this.#expect('close', '%}');
    return { kind: 'if', line, branches, otherwise };
  }

  #for(line: number): Statement {
    const target = this.#target();
    this.#expect('name', 'in');
    const list = this.#tuple(false);
    const only = this.#skip('name', 'if') ? this.#expression() : undefined;
    if (this.#is('name', 'recursive')) this.#fail("the construct '{% for … recursive %}' is not supported");
    this.#expect('close', '%}');
    const body = this.#body(['else', 'endfor']);
    const ends = this.#name() === 'endfor';
    const otherwise = ends ? [] : this.#block('endfor');
    if (ends) this.#expect('close', '%}');
    return { kind: 'for', line, target, list, only, body, otherwise };
  }

  #set(line: number): Statement {
    const target = this.#target();
    if (this.#skip('operator', '=')) {
      const value = this.#tuple(true);
      this.#expect('close', '%}');
      return { kind: 'set', line, target, value };
    }
    const filters = this.#skip('operator', '|') ? this.#filters() : [];
    return { kind: 'capture', line, target, filters, body: this.#block('endset') };
  }

  #filters(): { name: string; arguments: readonly Argument[] }[] {
    const filters = [];
    do filters.push({ name: this.#name(), arguments: this.#is('operator', '(') ? this.#arguments() : [] });
    while (this.#skip('operator', '|'));
    return filters;
  }

  #target(): Target {
    const one = (): Target => {
      if (this.#skip('operator', '(')) {
        const inner = this.#target();
        this.#expect('operator', ')');
        return inner;
      }
      const name = this.#name();
      return this.#skip('operator', '.')
        ? { kind: 'attribute', object: name, name: this.#name() }
        : { kind: 'name', name };
    };
    const items = [one()];
    while (this.#skip('operator', ',')) if (this.#token.kind === 'name' || this.#is('operator', '(')) items.push(one());
    return items.length === 1 && items[0] !== undefined ? items[0] : { kind: 'tuple', items };
  }

  #parameters(): Parameter[] {
    this.#expect('operator', '(');
    const parameters: Parameter[] = [];
    while (!this.#skip('operator', ')')) {
      if (parameters.length > 0) this.#expect('operator', ',');
      const name = this.#name();
      parameters.push({ name, fallback: this.#skip('operator', '=') ? this.#expression() : undefined });
    }
    return parameters;
  }

  #arguments(): Argument[] {
    this.#expect('operator', '(');
    const list: Argument[] = [];
    while (!this.#skip('operator', ')')) {
      if (list.length > 0) {
        this.#expect('operator', ',');
        if (this.#skip('operator', ')')) break;
      }
      if (this.#is('operator', '*') || this.#is('operator', '**'))
        this.#fail(`the construct '${this.#token.text}arguments' in a call is not supported`);
      const next = this.#tokens[this.#at + 1];
      const named = this.#token.kind === 'name' && next?.kind === 'operator' && next.text === '=';
      const name = named ? this.#name() : undefined;
      if (named) this.#at++;
      list.push({ name, value: this.#expression() });
    }
    return list;
  }

  /** Expressions separated by commas are a list. */
  #tuple(choices: boolean): Expression {
    const { line } = this.#token;
    const one = (): Expression => (choices ? this.#expression() : this.#nested(() => this.#or()));
    const first = one();
    if (!this.#is('operator', ',')) return first;
    const items = [first];
    while (this.#skip('operator', ',')) {
      if (this.#token.kind === 'close' || this.#is('operator', ')')) break;
      items.push(one());
    }
    return { kind: 'list', line, items };
  }

  #expression(): Expression {
    return this.#nested(() => {
      const { line } = this.#token;
      let value = this.#or();
      while (this.#skip('name', 'if')) {
        const test = this.#or();
        const otherwise = this.#skip('name', 'else') ? this.#expression() : undefined;
        value = { kind: 'choice', line, test, met: value, otherwise };
      }
      return value;
    });
  }

  #or(): Expression {
    const { line } = this.#token;
    let left = this.#and();
    while (this.#skip('name', 'or')) left = { kind: 'or', line, left, right: this.#and() };
    return left;
  }

  #and(): Expression {
    const { line } = this.#token;
    let left = this.#not();
    while (this.#skip('name', 'and')) left = { kind: 'and', line, left, right: this.#not() };
    return left;
  }

  #not(): Expression {
    const { line } = this.#token;
    if (!this.#skip('name', 'not')) return this.#compare();
    return { kind: 'not', line, value: this.#nested(() => this.#not()) };
  }

  #compare(): Expression {
    const { line } = this.#token;
    const first = this.#sum();
    const rest: { operator: Comparison; value: Expression }[] = [];
    for (;;) {
      const { kind, text } = this.#token;
      const next = this.#tokens[this.#at + 1];
      if (kind === 'operator' && COMPARISONS.has(text)) {
        this.#at++;
        rest.push({ operator: text as Comparison, value: this.#sum() });
      } else if (this.#skip('name', 'in')) rest.push({ operator: 'in', value: this.#sum() });
      else if (kind === 'name' && text === 'not' && next?.kind === 'name' && next.text === 'in') {
        this.#at += 2;
        rest.push({ operator: 'not in', value: this.#sum() });
      } else break;
    }
    return rest.length === 0 ? first : { kind: 'compare', line, first, rest };
  }

  #operations(operators: readonly Arithmetic[], operand: () => Expression): Expression {
    const { line } = this.#token;
    let left = operand();
    for (;;) {
      const operator = operators.find((name) => this.#skip('operator', name));
      if (operator === undefined) return left;
      left = { kind: 'arithmetic', line, operator, left, right: operand() };
    }
  }

  #sum(): Expression {
    return this.#operations(['+', '-'], () =>
      this.#operations(['~'], () =>
        this.#operations(['*', '/', '//', '%'], () => this.#operations(['**'], () => this.#unary(true))),
      ),
    );
  }

  #unary(filters: boolean): Expression {
    const { line } = this.#token;
    let value: Expression;
    if (this.#skip('operator', '-')) value = { kind: 'negative', line, value: this.#nested(() => this.#unary(false)) };
    else if (this.#skip('operator', '+'))
      value = { kind: 'positive', line, value: this.#nested(() => this.#unary(false)) };
    else value = this.#postfix(this.#primary());
    return filters ? this.#filtered(value) : value;
  }

  #filtered(from: Expression): Expression {
    let value = from;
    for (;;) {
      const { line } = this.#token;
      if (this.#skip('operator', '|')) {
        const name = this.#name();
        value = { kind: 'filter', line, value, name, arguments: this.#is('operator', '(') ? this.#arguments() : [] };
      } else if (this.#skip('name', 'is')) value = this.#test(value, line);
      else if (this.#is('operator', '(')) value = { kind: 'call', line, callee: value, arguments: this.#arguments() };
      else return value;
    }
  }

  #test(value: Expression, line: number): Expression {
    const negated = this.#skip('name', 'not');
    const name = this.#name();
    let list: readonly Argument[] = [];
    const { kind, text } = this.#token;
    const begins =
      kind === 'string' ||
      kind === 'number' ||
      (kind === 'operator' && (text === '[' || text === '{')) ||
      (kind === 'name' && !['else', 'or', 'and', 'is', 'if', 'not', 'in', 'recursive'].includes(text));
    if (this.#is('operator', '(')) list = this.#arguments();
    else if (begins) list = [{ name: undefined, value: this.#postfix(this.#primary()) }];
    return { kind: 'test', line, value, name, negated, arguments: list };
  }

  #postfix(from: Expression): Expression {
    let value = from;
    for (;;) {
      const { line } = this.#token;
      if (this.#skip('operator', '.')) {
        const { kind, text } = this.#token;
        if (kind === 'number') {
          this.#at++;
          value = { kind: 'item', line, object: value, key: { kind: 'constant', line, value: Number(text) } };
        } else value = { kind: 'attribute', line, object: value, name: this.#name() };
      } else if (this.#skip('operator', '[')) value = this.#subscript(value, line);
      else if (this.#is('operator', '(')) value = { kind: 'call', line, callee: value, arguments: this.#arguments() };
      else return value;
    }
  }

  #subscript(object: Expression, line: number): Expression {
    const bound = (): Expression | undefined =>
      this.#is('operator', ':') || this.#is('operator', ']') ? undefined : this.#expression();
    const start = bound();
    if (!this.#skip('operator', ':')) {
      this.#expect('operator', ']');
      return start === undefined ? this.#fail('[] names no item') : { kind: 'item', line, object, key: start };
    }
    const stop = bound();
    const step = this.#skip('operator', ':') ? bound() : undefined;
    this.#expect('operator', ']');
    return { kind: 'slice', line, object, start, stop, step };
  }

  #primary(): Expression {
    const { kind, text, line } = this.#token;
    this.#at++;
    switch (kind) {
      case 'name':
        switch (text) {
          case 'true':
          case 'True':
            return { kind: 'constant', line, value: true };
          case 'false':
          case 'False':
            return { kind: 'constant', line, value: false };
          case 'none':
          case 'None':
            return { kind: 'constant', line, value: null };
          default:
            return { kind: 'name', line, name: text };
        }
      case 'number':
        return { kind: 'constant', line, value: Number(text) };
      case 'string': {
        const parts = [new Text(text)];
        for (; this.#token.kind === 'string'; this.#at++) parts.push(new Text(this.#token.text));
        return { kind: 'text', line, value: concat(parts) };
      }
      case 'operator':
        if (text === '(') {
          if (this.#skip('operator', ')')) return { kind: 'list', line, items: [] };
          const inner = this.#nested(() => this.#tuple(true));
          this.#expect('operator', ')');
          return inner;
        }
        if (text === '[') {
          const items: Expression[] = [];
          while (!this.#skip('operator', ']')) {
            if (items.length > 0) this.#expect('operator', ',');
            if (this.#skip('operator', ']')) break;
            items.push(this.#expression());
          }
          return { kind: 'list', line, items };
        }
        if (text === '{') return this.#dict(line);
        break;
      default:
    }
    this.#at--;
    return this.#fail(`an expression is expected, not '${text || 'the end'}'`);
  }

  #dict(line: number): Expression {
    const entries: (readonly [Expression, Expression])[] = [];
    while (!this.#skip('operator', '}')) {
      if (entries.length > 0) this.#expect('operator', ',');
      if (this.#skip('operator', '}')) break;
      const key = this.#expression();
      this.#expect('operator', ':');
      entries.push([key, this.#expression()]);
    }
    return { kind: 'dict', line, entries };
  }
}
