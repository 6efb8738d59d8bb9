import type { OctavoModel } from '../src/public.ts';

/** What the command line gives: text, with the defaults of the options. */
export type Values = Readonly<Record<string, string | undefined>>;
export interface ContextRecord {
  readonly grid: { readonly lengths: readonly number[]; readonly depths: readonly number[]; readonly each: number };
  readonly parts: {
    readonly documents: Readonly<
      Record<
        string,
        Readonly<Record<string, { readonly outcomes: string; readonly ids: string; readonly bytes: number }>>
      >
    >;
    readonly needles: Readonly<Record<string, Readonly<Record<string, string>>>>;
  };
}
export const CONTEXT_OPTIONS: Readonly<Record<string, { readonly type: 'string'; readonly default: string }>>;
export function run(model: OctavoModel, values: Values, machine: string): Promise<ContextRecord>;
export function joined(recorded: Readonly<Record<string, string | { readonly outcomes: string }>>): string;
