/** The fuzzers by name, each for one kind of file that comes from elsewhere. */
import { constraintFuzzer } from './constraints.ts';
import { ggufFuzzer, safetensorsFuzzer } from './files.ts';
import { httpFuzzer } from './http.ts';
import { imageFuzzer } from './pictures.ts';
import type { Fuzzer } from './run.ts';
import { sessionFuzzer } from './sessions.ts';
import { templateFuzzer, tokenizerFuzzer } from './text.ts';

export const KINDS = {
  gguf: ggufFuzzer,
  safetensors: safetensorsFuzzer,
  tokenizer: tokenizerFuzzer,
  template: templateFuzzer,
  image: imageFuzzer,
  session: sessionFuzzer,
  http: httpFuzzer,
  constraint: constraintFuzzer,
} as const satisfies Record<string, () => Promise<Fuzzer>>;

export type Kind = keyof typeof KINDS;
