/**
 * Grammars: what an answer may consist of, as plain data that can cross to the engine. `Constraints.constraint` (index.ts) compiles one for a model's
 * vocabulary.
 *
 * Calls of tools are written with these parts. From the start of an answer:
 *
 *     sequence(text('<tool_call>\n{"name": "weather", "arguments": '), json(schema), text('}\n</tool_call>'))
 *
 * of several tools, a `choice` of such sequences; and in free text, `free` with the trigger `<tool_call>` and what follows it.
 */

/** A JSON Schema (draft 2020-12): JSON values only. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** Where free text ends: the answer writes `begin`, then must go on with `body`; then the text is free again. */
export interface Trigger {
  readonly begin: Mark;
  readonly body: Grammar;
}

/** A text, or a special token by its name. */
type Mark = Extract<Grammar, { readonly kind: 'text' | 'token' }>;

export type Grammar =
  /** Exactly this text. */
  | { readonly kind: 'text'; readonly text: string }
  /** A special token by its name, such as `[TOOL_CALLS]`, which prints nothing. */
  | { readonly kind: 'token'; readonly token: string }
  /** A JSON text whose value fits the schema. */
  | { readonly kind: 'json'; readonly schema: JsonSchema }
  /** A text that a JavaScript regular expression matches as a whole. */
  | { readonly kind: 'regexp'; readonly source: string; readonly flags: string }
  | { readonly kind: 'sequence'; readonly parts: readonly Grammar[] }
  | { readonly kind: 'choice'; readonly parts: readonly Grammar[] }
  | { readonly kind: 'repeat'; readonly part: Grammar; readonly least: number; readonly most?: number | undefined }
  /** Any text, special tokens included, up to and with the first occurrence of a mark. */
  | { readonly kind: 'until'; readonly end: Mark }
  /** Any text, special tokens included, that may end anywhere outside of a trigger's body. A trigger's text occurs in it only as a trigger. */
  | { readonly kind: 'free'; readonly triggers: readonly Trigger[] };
