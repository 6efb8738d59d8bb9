/**
 * A conversation: turns that the model's chat template renders, and how the oldest of them are dropped to make room.
 */
import { joined, MessageText, type Content } from '../see/images.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { ToolTelling } from './adapt.ts';
import type { Turn } from './messages.ts';
import { followOn, type Prompt, type Transcript, type Words } from './prompt.ts';
import type * as TemplateModule from './templates.ts';

export type Templates = Pick<typeof TemplateModule, 'abilitiesOf' | 'renderTurns'>;

/** What a conversation needs of its model. `templates` is undefined for a model without a chat template. */
export interface ConversationModel {
  readonly tokenizer: Tokenizer;
  readonly templates: Templates | undefined;
}

/** Immutable, so that an answer that fails leaves the conversation unchanged. */
export class Conversation {
  readonly #model: ConversationModel;
  /** The first `initial` turns are never dropped. */
  readonly #initial: readonly Turn[];
  readonly #turns: readonly Turn[];

  constructor(model: ConversationModel, initial: readonly Turn[], turns: readonly Turn[] = []) {
    this.#model = model;
    this.#initial = initial;
    this.#turns = turns;
  }

  get empty(): boolean {
    return this.#initial.length + this.#turns.length === 0;
  }

  /** The turns that it consists of. */
  get parts(): { readonly initial: readonly Turn[]; readonly turns: readonly Turn[] } {
    return { initial: this.#initial, turns: this.#turns };
  }

  /** All turns in order. */
  get all(): readonly Turn[] {
    return [...this.#initial, ...this.#turns];
  }

  /** Whether the template accepts the conversation; some refuse one in which the user has said nothing. */
  renders(telling?: ToolTelling): boolean {
    const { templates, tokenizer } = this.#model;
    const { chatTemplate } = tokenizer.facts;
    const able = chatTemplate === undefined || templates?.abilitiesOf(chatTemplate).withoutUser !== false;
    if (able && telling?.speech.withoutUser !== false) return true;
    return this.all.some(({ role }) => role === 'user');
  }

  with(...turns: readonly Turn[]): Conversation {
    return new Conversation(this.#model, this.#initial, [...this.#turns, ...turns]);
  }

  /**
   * Returns the conversation without its oldest exchange (everything up to the next question after an answer);
   * undefined when nothing is left to drop.
   */
  withoutOldest(): Conversation | undefined {
    if (this.#turns.length === 0) return undefined;
    let end = this.#turns.findIndex((turn) => turn.role === 'assistant');
    end = end < 0 ? 0 : end;
    // Results go with their calls, and with what was answered to them.
    while (['assistant', 'tool'].includes(this.#turns[end]?.role ?? '')) end++;
    if (end === 0) end = 1;
    return new Conversation(this.#model, this.#initial, this.#turns.slice(end));
  }

  /**
   * Returns the whole conversation, including `more`, as text and images. `answer` opens the assistant's turn with
   * `prefix`.
   */
  render(more: readonly Turn[], answer: boolean, prefix = '', { variables, thinking, telling }: Manner = {}): Content {
    const turns = [...this.all, ...more];
    const { templates, tokenizer } = this.#model;
    const { facts } = tokenizer;
    const begun = new MessageText(prefix);
    if (facts.chatTemplate === undefined || templates === undefined) return joined([...plain(turns), begun]);
    const name = (id: number | undefined): string =>
      id === undefined ? '' : tokenizer.decode([id], { special: true });
    const options = {
      addGenerationPrompt: answer,
      bosToken: name(facts.bos),
      eosToken: name(facts.eos[0]),
      variables: { ...(thinking === undefined ? {} : { enable_thinking: thinking, thinking }), ...variables },
    };
    const content = templates.renderTurns(facts.chatTemplate, turns, options, telling);
    const { thinking: switched, thoughts } = templates.abilitiesOf(facts.chatTemplate);
    const none = answer && thinking === false && !switched && thoughts !== undefined;
    return joined([...content, ...(none ? [noThoughts(thoughts, opensThoughts(content, thoughts))] : []), begun]);
  }
}

/** How a conversation is rendered. */
export interface Manner {
  /** Variables of the template. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
  readonly thinking?: boolean | undefined;
  /** For conversations with tools, or with calls in them. */
  readonly telling?: ToolTelling | undefined;
}

/** Whether a rendered prompt ends within thoughts. */
export function opensThoughts(content: Content, [open]: readonly [string, string]): boolean {
  const last = content.at(-1);
  return typeof last === 'string' && last.trimEnd().endsWith(open.trimEnd());
}

/** Empty thoughts, as models write them that were trained to answer at once. */
function noThoughts([open, close]: readonly [string, string], opened: boolean): string {
  return `${opened ? '' : `${open}\n`}\n${close}\n\n`;
}

/**
 * For base models, which have no template: an answer continues the text before it, every other message begins a new
 * line, and the model continues the last message.
 */
function plain(turns: readonly Turn[]): Content {
  return turns.flatMap(({ role, content, special }, index): Content => [
    ...(index === 0 || role === 'assistant' ? [] : ['\n']),
    ...content.flatMap((part): Content => {
      if (typeof part === 'string') return [special === true ? part : new MessageText(part)];
      return part instanceof MessageText ? [part] : [part, '\n'];
    }),
  ]);
}

/** A prompt that fits, and the content for which its ids stand. */
export interface Fit {
  /** The rest of the conversation. */
  readonly conversation: Conversation;
  readonly prompt: Prompt;
  readonly content: Content;
}

/** The share of the window that is kept after an overflow. Keeping more would make the next prompt overflow again, and every overflow prefills the whole context. */
const AFTER_OVERFLOW = 0.75;

/** Renders and encodes the conversation and `more`; where the ids leave less than `reserve` of `window`, the oldest exchanges are dropped. */
export function fit(
  words: Words,
  conversation: Conversation,
  transcript: Transcript,
  ask: {
    readonly more: readonly Turn[];
    readonly answer: boolean;
    readonly prefix: string;
    readonly reserve: number;
    readonly manner: Manner;
    readonly window: number;
  },
): Fit & { readonly dropped: boolean } {
  let most = ask.window - ask.reserve;
  for (let kept = conversation; ;) {
    const rendered = kept.render(ask.more, ask.answer, ask.prefix, ask.manner);
    const prompt = followOn(words, transcript, rendered);
    const shorter = prompt.ids.length > most ? kept.withoutOldest() : undefined;
    if (shorter === undefined) return { conversation: kept, content: rendered, prompt, dropped: kept !== conversation };
    most = AFTER_OVERFLOW * (ask.window - ask.reserve);
    kept = shorter;
  }
}
