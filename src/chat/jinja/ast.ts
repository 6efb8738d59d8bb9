/** The tree of a template. Every node knows its line, for messages. */
import type { Text } from './text.ts';

interface At {
  readonly line: number;
}

export interface Argument {
  /** undefined: by position. */
  readonly name: string | undefined;
  readonly value: Expression;
}

export interface Parameter {
  readonly name: string;
  readonly fallback: Expression | undefined;
}

export type Target =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'attribute'; readonly object: string; readonly name: string }
  | { readonly kind: 'tuple'; readonly items: readonly Target[] };

export type Comparison = '==' | '!=' | '<' | '>' | '<=' | '>=' | 'in' | 'not in';
export type Arithmetic = '+' | '-' | '*' | '/' | '//' | '%' | '**' | '~';

export type Expression = At &
  (
    | { readonly kind: 'text'; readonly value: Text }
    | { readonly kind: 'constant'; readonly value: number | boolean | null }
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'list'; readonly items: readonly Expression[] }
    | { readonly kind: 'dict'; readonly entries: readonly (readonly [Expression, Expression])[] }
    | { readonly kind: 'attribute'; readonly object: Expression; readonly name: string }
    | { readonly kind: 'item'; readonly object: Expression; readonly key: Expression }
    | {
        readonly kind: 'slice';
        readonly object: Expression;
        readonly start: Expression | undefined;
        readonly stop: Expression | undefined;
        readonly step: Expression | undefined;
      }
    | { readonly kind: 'call'; readonly callee: Expression; readonly arguments: readonly Argument[] }
    | {
        readonly kind: 'filter';
        readonly value: Expression;
        readonly name: string;
        readonly arguments: readonly Argument[];
      }
    | {
        readonly kind: 'test';
        readonly value: Expression;
        readonly name: string;
        readonly negated: boolean;
        readonly arguments: readonly Argument[];
      }
    | { readonly kind: 'negative' | 'positive' | 'not'; readonly value: Expression }
    | { readonly kind: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
    | {
        readonly kind: 'arithmetic';
        readonly operator: Arithmetic;
        readonly left: Expression;
        readonly right: Expression;
      }
    | {
        readonly kind: 'compare';
        readonly first: Expression;
        readonly rest: readonly { readonly operator: Comparison; readonly value: Expression }[];
      }
    | {
        readonly kind: 'choice';
        readonly test: Expression;
        readonly met: Expression;
        readonly otherwise: Expression | undefined;
      }
  );

export type Statement = At &
  (
    | { readonly kind: 'output'; readonly value: Expression }
    | {
        readonly kind: 'if';
        readonly branches: readonly { readonly test: Expression; readonly body: readonly Statement[] }[];
        readonly otherwise: readonly Statement[];
      }
    | {
        readonly kind: 'for';
        readonly target: Target;
        readonly list: Expression;
        readonly only: Expression | undefined;
        readonly body: readonly Statement[];
        readonly otherwise: readonly Statement[];
      }
    | { readonly kind: 'set'; readonly target: Target; readonly value: Expression }
    | {
        readonly kind: 'capture';
        readonly target: Target;
        readonly filters: readonly { readonly name: string; readonly arguments: readonly Argument[] }[];
        readonly body: readonly Statement[];
      }
    | {
        readonly kind: 'macro';
        readonly name: string;
        readonly parameters: readonly Parameter[];
        readonly body: readonly Statement[];
      }
    | {
        readonly kind: 'call-block';
        readonly call: Expression;
        readonly parameters: readonly Parameter[];
        readonly body: readonly Statement[];
      }
    | {
        readonly kind: 'filter-block';
        readonly filters: readonly { readonly name: string; readonly arguments: readonly Argument[] }[];
        readonly body: readonly Statement[];
      }
    /** Statements with variables of their own. */
    | {
        readonly kind: 'with';
        readonly values: readonly (readonly [Target, Expression])[];
        readonly body: readonly Statement[];
      }
    | { readonly kind: 'break' | 'continue' }
  );
