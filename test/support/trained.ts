/** The trained models of this machine with the greedy ids that others found for them: nano by PyTorch, stories260K by llama.cpp (where it is). */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { openModel } from '../../src/load/index.ts';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import type { TrainedModel } from './precision.ts';
import { openWasm } from './wasm.ts';

const NANO = new URL('../../models/nano/', import.meta.url);
const STORIES = new URL('../../../shared/data/weights/stories260K/', import.meta.url);
/** Ids that are compared. */
const TOKENS = 24;

export async function trainedModels(): Promise<readonly TrainedModel[]> {
  const { cases } = JSON.parse(await readFile(new URL('parity.json', NANO), 'utf8')) as {
    cases: readonly { promptIds: readonly number[]; greedyIds: readonly number[] }[];
  };
  const shortest = cases.toSorted((a, b) => a.promptIds.length - b.promptIds.length).slice(0, 3);
  const nano: TrainedModel = {
    name: 'nano',
    bytes: new Uint8Array(await readFile(new URL('nano.gguf', NANO))),
    prompts: shortest.map(({ promptIds, greedyIds }) => ({ ids: promptIds, continuation: greedyIds })),
  };
  return existsSync(STORIES) ? [nano, await stories()] : [nano];
}

/** llama.cpp's continuations are text; its ids are those of the text's beginning, as far as they are the same however it goes on. */
async function stories(): Promise<TrainedModel> {
  const bytes = new Uint8Array(await readFile(new URL('stories260K-f32.gguf', STORIES)));
  const golden = await readFile(new URL('greedy40.llama.cpp.txt', STORIES), 'utf8');
  const tokenizer = await createTokenizer(await openWasm('scalar'), (await openModel(bytes)).metadata);
  const prompts = [...golden.matchAll(/^== (.*)\n(.*)$/gm)].map(([, prompt, text]) => {
    const ids = [...tokenizer.encode(prompt ?? '', { bos: true })];
    return { ids, all: [...tokenizer.encode((text ?? '').trim(), { bos: true })] };
  });
  tokenizer.free();
  return {
    name: 'stories260K',
    bytes,
    prompts: prompts.map(({ ids, all }) => ({ ids, continuation: all.slice(ids.length, ids.length + TOKENS) })),
  };
}
