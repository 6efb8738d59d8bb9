import type { OctavoModel } from '../src/public.ts';
import type { Values } from './context.d.mts';

export interface VisualRecord {
  readonly tokens: { readonly free: number; readonly fixed: number };
  readonly parts: {
    readonly seeing: Readonly<
      Record<
        string,
        {
          readonly bytes: number;
          readonly kinds: Readonly<Record<string, { readonly outcomes: string; readonly kept: number }>>;
        }
      >
    >;
  };
}
export const VISUAL_OPTIONS: Readonly<Record<string, { readonly type: 'string'; readonly default: string }>>;
export function run(model: OctavoModel, values: Values, machine: string): Promise<VisualRecord>;
