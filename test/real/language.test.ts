/**
 * Real files (`npm run models`) against PyTorch in f32 on the same, dequantised, weights (training/parity/real.py): ids, logits, greedy answers in the
 * file's own chat template, and the likelihood of a text.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend } from '../../src/backend/backend.ts';
import { renderChat } from '../../src/chat/template.ts';
import type { OctavoModel } from '../../src/face/model.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type LanguageModel } from '../../src/models/model.ts';
import { nodeFiles } from '../../src/platform/node-files.ts';
import { createTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { testBackends } from '../support/backends.ts';
import { testFace } from '../support/engine.ts';
import { hasGpu } from '../support/gpu.ts';
import { greedy, logitsOf } from '../support/language.ts';
import { realModel } from '../support/models.ts';
import { expectNmse } from '../support/tolerance.ts';
import { openWasm } from '../support/wasm.ts';

interface Answer {
  readonly messages: readonly { readonly role: 'system' | 'user' | 'assistant'; readonly content: string }[];
  readonly ids: readonly number[];
  /** Ends before a step at which rounding could decide. */
  readonly greedy: readonly number[];
  readonly answer: string;
}

interface Fixture {
  readonly sha256: string;
  readonly text: string;
  readonly window: number;
  readonly ids: readonly number[];
  /** [ids]; NaN for the first of a window */
  readonly logProbs: string;
  readonly nll: number;
  readonly positions: readonly number[];
  readonly stride: number;
  /** [positions, every stride-th id] */
  readonly logits: string;
  /** [positions]: the likeliest ids. */
  readonly best: readonly number[];
  readonly answers: readonly Answer[];
}

/** Of logits around their mean, NMSE: WASM multiplies activations in int8, layer after layer. */
const LOGITS = { wasm: 2e-2, webgpu: 1e-6 } as const;
/** Of the mean negative log-likelihood, relative. */
const LIKELIHOOD = { wasm: 5e-3, webgpu: 5e-4 } as const;
/** Ids of the text that a software GPU reads, and how long it may take, in milliseconds. */
const SHORT = 16;
const PATIENCE = 600_000;
const hardware = process.env['OCTAVO_HARDWARE_GPU'] === '1';

const floats = (packed: string): Float32Array =>
  new Float32Array(Uint8Array.from(Buffer.from(packed, 'base64')).buffer);
const mean = (values: Float32Array): number => {
  const scored = [...values].filter((value) => !Number.isNaN(value));
  return scored.reduce((sum, value) => sum + value, 0) / scored.length;
};
/** Less their mean: what all logits have in common changes no probability. */
const centred = (logits: Float32Array): Float32Array => {
  const middle = logits.reduce((sum, value) => sum + value, 0) / logits.length;
  return logits.map((value) => value - middle);
};
const Octavo = testFace();
const backends = await testBackends();
const gpu = await hasGpu();

describe.each(['smollm2', 'qwen'])('%s', (name) => {
  const path = realModel(name);
  if (path === undefined) {
    test.skip('its file is not here', () => undefined);
    return;
  }
  const fixture = JSON.parse(
    readFileSync(new URL(`../fixtures/real/${name}.json`, import.meta.url), 'utf8'),
  ) as Fixture;
  // One build of WASM (the conformance suite compares them). A software GPU reads a few ids of the smaller model, through the SDK.
  const able = backends.filter((it) => it.name === 'wasm simd' || (it.name === 'webgpu' && hardware));
  const devices = gpu && (name === 'smollm2' || hardware) ? (['wasm', 'webgpu'] as const) : (['wasm'] as const);

  describe.each(able)('on $name', ({ name: device, create }) => {
    const kind = device === 'webgpu' ? 'webgpu' : 'wasm';
    let backend: Backend;
    let model: LanguageModel;
    let tokenizer: Tokenizer;
    beforeAll(async () => {
      const file = await openModel(path, { files: nodeFiles });
      tokenizer = await createTokenizer(await openWasm('scalar'), file.metadata);
      backend = await create();
      model = (await loadModel(file, backend)).language;
      await file.close();
    });
    afterAll(() => {
      model.free();
      tokenizer.free();
      backend.destroy();
    });

    test("ids and logits are upstream's", async () => {
      expect([...tokenizer.encode(fixture.text)]).toEqual(fixture.ids);
      const length = fixture.window;
      const logits = await logitsOf(model, fixture.ids.slice(0, length), [length]);
      const width = model.config.vocabulary;
      const wanted = floats(fixture.logits);
      const each = wanted.length / fixture.positions.length;
      for (const [i, position] of fixture.positions.entries()) {
        const row = logits.subarray(position * width, (position + 1) * width);
        const found = Float32Array.from({ length: each }, (_, j) => row[j * fixture.stride]!);
        expectNmse(
          centred(found),
          centred(wanted.subarray(i * each, (i + 1) * each)),
          LOGITS[kind],
          `${name} on ${device}: position ${position}`,
        );
      }
    });

    test.each(fixture.answers)('answers: $answer', async ({ messages, ids, greedy: continuation }) => {
      const { chatTemplate, eos } = tokenizer.facts;
      const eosToken = tokenizer.decode(eos.slice(0, 1), { special: true });
      const text = renderChat(chatTemplate!, messages, { addGenerationPrompt: true, bosToken: '', eosToken });
      expect([...tokenizer.encode(text)]).toEqual(ids);
      expect(await greedy(model, ids, continuation.length)).toEqual(continuation);
    });
  });

  describe.each(devices)('through the SDK on %s', (device) => {
    const slow = device === 'webgpu' && !hardware;
    let model: OctavoModel;
    beforeAll(async () => {
      model = await Octavo.load(path, { device, sha256: fixture.sha256 });
    }, PATIENCE);
    afterAll(() => model.destroy());

    test(
      'the likelihood of a text',
      async () => {
        const ids = Int32Array.from(slow ? fixture.ids.slice(0, SHORT) : fixture.ids);
        const wanted = floats(fixture.logProbs).subarray(0, ids.length);
        const found = await model.score(slow ? ids : fixture.text, { window: fixture.window });
        expect([...found.ids]).toEqual([...ids]);
        expect(Math.abs(found.nll + mean(wanted))).toBeLessThan(LIKELIHOOD[device] * Math.abs(mean(wanted)));
        if (!slow) expect(mean(wanted)).toBeCloseTo(-fixture.nll, 4);
      },
      PATIENCE,
    );

    (slow ? test.skip : test)('a chat', async () => {
      const { messages, answer, greedy: ids } = fixture.answers.at(-1)!;
      const session = await model.createSession({ initialPrompts: messages.slice(0, -1), temperature: 0 });
      expect(await session.prompt(messages.at(-1)!.content, { maxTokens: ids.length })).toBe(answer);
      session.destroy();
    });
  });
});
