// What long contexts are asked: the rest of a text, a number that stands once in it (among others of its kind, or all of them), and questions about packed
// paragraphs (XQuAD).
// Items are drawn by their number alone, evenly over text and depth: the same everywhere.
import { generator } from './random.mjs';

/** Tokens that the chat frame and the answer take beside what an item counts. */
const FRAME = 96;
/** Numbers that stand in the text of a multi-key item; one is asked for, or all. */
const KEYS = 8;
/** Tokens of a text that are scored behind its beginning. */
export const SCORED = 64;
/** The golden ratio's fraction spreads depths evenly, however many items there are. */
const SPREAD = 0.618034;

const WORDS =
  'amber anchor basil beacon bridge candle canyon cedar cobalt copper coral cradle dagger ember falcon feather garnet harbor hazel indigo ivory jasper juniper kettle lantern ledger maple marble meadow nectar oak olive onyx orchid pearl pebble pine quartz raven saddle sage silver spruce thistle timber topaz velvet walnut willow zephyr'.split(
    ' ',
  );

const fraction = (x) => x - Math.floor(x);
const sentence = ({ word, number }) => `One of the special magic numbers for ${word} is: ${number}.`;
const askedNumber = (word) => `What is the special magic number for ${word} mentioned in the provided text?`;
const begunNumber = (word) => `The special magic number for ${word} mentioned in the provided text is`;
const askedParagraph = (question) => `Answer the question with a few words of the text above.\nQuestion: ${question}`;

/** Builds items for a model, in whose tokens lengths are measured. `text`: what numbers are hidden in; `paragraphs`: of XQuAD, with their questions. */
export class LongItems {
  #model;
  #text;
  #hay;
  #paragraphs;
  #ids;
  #sizes = new Map();

  constructor(model, { text, paragraphs }) {
    this.#model = model;
    this.#text = text;
    this.#hay = text
      .split(/\n\s*\n/)
      .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
      .filter((paragraph) => paragraph.length > 200);
    this.#paragraphs = paragraphs;
  }

  /**
   * An item of `length` tokens at most: of `text` its ids, of which `prompt` are read as a prompt; of the others messages, the words that
   * begin the answer, the answer, its parts that must be said, and the tokens that it may take.
   * @param {string} kind
   * @param {number} length
   * @param {number} index
   * @returns {Promise<{ ids?: Int32Array; prompt?: number; messages?: { role: 'user'; content: string }[]; begun?: string; answer?: string; parts?: string[]; tokens?: number }>}
   */
  async item(kind, length, index) {
    switch (kind) {
      case 'text':
        return this.#window(length, index);
      case 'needle':
        return this.#numbers(length, index, 1);
      case 'keys':
        return this.#numbers(length, index, KEYS);
      case 'queries':
        return this.#numbers(length, index, KEYS, KEYS);
      case 'xquad':
        return this.#question(length, index);
      default:
        throw new Error(`--parts ${kind}: take of text, needle, keys, queries, xquad`);
    }
  }

  /** A window of the text, whose last tokens are scored. */
  async #window(length, index) {
    this.#ids ??= await this.#model.tokenize(this.#text);
    if (this.#ids.length < 2 * length)
      throw new Error(`the text has ${this.#ids.length} tokens; ${2 * length} are needed`);
    const start = Math.floor(fraction(index * SPREAD) * (this.#ids.length - length));
    return { ids: this.#ids.slice(start, start + length), prompt: length - SCORED };
  }

  /**
   * A text of `length` tokens at most, and questions that are asked of one reading of it, each with the words that begin its answer, the parts
   * that must be said, and the tokens that it may take.
   * @param {string} kind
   * @param {number} length
   * @param {number} index
   * @returns {Promise<{ text: string; questions: { question: string; begun: string; parts: string[]; tokens: number }[] }>}
   */
  async reading(kind, length, index) {
    switch (kind) {
      case 'keys':
        return this.#numbersRead(length, index);
      case 'xquad':
        return this.#paragraphsRead(length, index);
      default:
        throw new Error(`--by followups, --parts ${kind}: take of keys, xquad`);
    }
  }

  /** Numbers by words, and a text in which they are hidden, with the words before it. `left`: tokens of what is asked. */
  async #hidden(length, index, keys, left) {
    const next = generator(977 * index + keys);
    const words = [...WORDS].map((word) => [next(), word]).sort(([a], [b]) => a - b);
    const numbers = words.slice(0, keys).map(([, word]) => ({ word, number: 10_000 + Math.floor(90_000 * next()) }));
    const front =
      'Special magic numbers are hidden within the following text. Make sure to memorize them. I will quiz you about the numbers afterwards.';
    let room = length - FRAME - (await left(numbers)) - (await this.#size(front));
    for (const number of numbers) room -= await this.#size(sentence(number));
    const hay = await this.#filled(this.#hay, Math.floor(fraction(index * SPREAD) * this.#hay.length), room);
    const depth = fraction((index + 0.5) * SPREAD);
    const places = numbers.map((number, i) => ({ at: Math.round((i === 0 ? depth : next()) * hay.length), number }));
    for (const { at, number } of places.sort((a, b) => b.at - a.at)) hay.splice(at, 0, sentence(number));
    return { numbers, text: `${front}\n\n${hay.join('\n\n')}` };
  }

  async #numbersRead(length, index) {
    const { numbers, text } = await this.#hidden(length, index, KEYS, async () => 2 * FRAME);
    return {
      text,
      questions: numbers.map(({ word, number }) => ({
        question: askedNumber(word),
        begun: begunNumber(word),
        parts: [String(number)],
        tokens: 12,
      })),
    };
  }

  async #numbers(length, index, keys, wanted = 1) {
    const several = (numbers) =>
      `What are the special magic numbers for ${numbers.map(({ word }) => word).join(', ')} mentioned in the provided text?`;
    const ask = (numbers) => (wanted === 1 ? askedNumber(numbers[0].word) : several(numbers));
    const { numbers, text } = await this.#hidden(
      length,
      index,
      keys,
      async (all) => 8 * wanted + (await this.#size(ask(all.slice(0, wanted)))),
    );
    const asked = numbers.slice(0, wanted);
    return {
      messages: [{ role: 'user', content: `${text}\n\n${ask(asked)}` }],
      begun: wanted === 1 ? begunNumber(asked[0].word) : 'The special magic numbers mentioned in the provided text are',
      answer:
        wanted === 1
          ? ` ${asked[0].number}`
          : ` ${asked.map(({ word, number }) => `${number} for ${word}`).join(', ')}`,
      parts: asked.map(({ number }) => String(number)),
      tokens: 12 * wanted,
    };
  }

  /** A question whose paragraph stands at some depth among its neighbours. */
  async #question(length, index) {
    const paragraphs = this.#paragraphs;
    const own = Math.floor(fraction(index * SPREAD + 0.1) * paragraphs.length);
    const { context, questions } = paragraphs[own];
    const { question, answer } = questions[index % questions.length];
    const ask = askedParagraph(question);
    const left = length - FRAME - (await this.#size(ask)) - (await this.#size(answer)) - (await this.#size(context));
    const others = [...paragraphs.slice(own + 1), ...paragraphs.slice(0, own)].map((paragraph) => paragraph.context);
    const packed = await this.#filled(others, 0, left);
    packed.splice(Math.round(fraction((index + 0.5) * SPREAD) * packed.length), 0, context);
    return {
      messages: [{ role: 'user', content: `${packed.join('\n\n')}\n\n${ask}` }],
      begun: '',
      answer,
      parts: [answer],
      tokens: 32,
    };
  }

  /** Neighbouring paragraphs, and a question each about some that are spread evenly over them. */
  async #paragraphsRead(length, index) {
    const paragraphs = this.#paragraphs;
    const from = Math.floor(fraction(index * SPREAD + 0.1) * paragraphs.length);
    const round = [...paragraphs.slice(from), ...paragraphs.slice(0, from)];
    const packed = await this.#filled(
      round.map(({ context }) => context),
      0,
      length - 4 * FRAME,
    );
    const shown = round.filter(({ context }) => packed.includes(context));
    const count = Math.min(KEYS, shown.length);
    return {
      text: packed.join('\n\n'),
      questions: Array.from({ length: count }, (_, i) => {
        // The first is about the middle, later ones about all depths.
        const { questions } = shown[Math.floor(fraction(0.5 + i / count) * shown.length)];
        const { question, answer } = questions[index % questions.length];
        return { question: askedParagraph(question), begun: '', parts: [answer], tokens: 32 };
      }),
    };
  }

  /** Pieces of `list` from `from` on, around its end, of `tokens` tokens at most; one that does not fit is left out. */
  async #filled(list, from, tokens) {
    const taken = [];
    let left = tokens;
    for (let i = 0; i < list.length && left > 32; i += 1) {
      const piece = list[(from + i) % list.length];
      const size = await this.#size(piece);
      if (size > left) continue;
      taken.push(piece);
      left -= size;
    }
    return taken;
  }

  async #size(piece) {
    let found = this.#sizes.get(piece);
    if (found === undefined) {
      found = (await this.#model.tokenize(`\n\n${piece}`)).length;
      this.#sizes.set(piece, found);
    }
    return found;
  }
}
