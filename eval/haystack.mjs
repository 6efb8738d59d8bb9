// Needles in haystacks: one held-out fact among filler, at a depth of a document of a length. Seeded: the same everywhere.
import { readFileSync } from 'node:fs';
import { generator } from './random.mjs';

const { needles, hay } = JSON.parse(readFileSync(new URL('./needles.json', import.meta.url), 'utf8'));

/** Sentences a paragraph. */
const PARAGRAPH = 5;
/** Tokens that the chat frame, the question and the answer take beside the document. */
const FRAME = 40;

/** Builds haystacks for a model, whose tokens they are measured in. */
export class Haystacks {
  #model;
  #lengths = new Map();

  constructor(model) {
    this.#model = model;
  }

  async #tokens(sentence) {
    let found = this.#lengths.get(sentence);
    if (found === undefined) {
      found = (await this.#model.tokenize(` ${sentence}`)).length;
      this.#lengths.set(sentence, found);
    }
    return found;
  }

  /** Item `index` of a cell: at most `length` tokens with question and frame; `depth` 0 is the document's first sentence, 1 its last. The hay is the same at all depths. */
  async item(length, depth, index) {
    const [needle, question, expected] = needles[index % needles.length];
    const next = generator(length * 1000 + index);
    const sentences = [];
    let left = length - FRAME - (await this.#tokens(needle));
    for (;;) {
      const sentence = hay[Math.floor(next() * hay.length)];
      left -= await this.#tokens(sentence);
      if (left < 0) break;
      sentences.push(sentence);
    }
    sentences.splice(Math.round(depth * sentences.length), 0, needle);
    const paragraphs = Array.from({ length: Math.ceil(sentences.length / PARAGRAPH) }, (_, i) =>
      sentences.slice(i * PARAGRAPH, (i + 1) * PARAGRAPH).join(' '),
    );
    return { input: `${paragraphs.join('\n\n')}\n\n${question}`, expected };
  }
}
