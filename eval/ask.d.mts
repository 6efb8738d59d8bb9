export function equalIds(
  recorded: { readonly ids: string },
  base: { readonly ids: string },
): { readonly answers: number; readonly of: number; readonly ids: number; readonly ofIds: number };
