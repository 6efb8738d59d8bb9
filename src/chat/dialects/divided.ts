/**
 * An answer as it is drawn, divided into thoughts, text and calls. What may begin a mark waits until it is clear whether it does; whitespace at the ends of
 * thoughts and before calls is left out.
 */
import type { AnsweredCall, AnswerPart, ToolSettings } from '../tools.ts';
import type { AnswerDivider, DividedPart } from '../divider.ts';
import type { Dialect, Heard, HeardCall, Opening } from './dialect.ts';
import { Malformed, overlap } from './literal.ts';

/** A longer call is a mistake: it is shown as text. */
const LONGEST_CALL = 1 << 18;
/** More calls in one answer are a loop. */
const MOST_CALLS = 64;

export interface DivideOptions {
  /** Undefined: calls are not looked for. */
  readonly dialect: Dialect | undefined;
  readonly tools: readonly ToolSettings[];
  /** What begins and ends thoughts. */
  readonly thoughts: readonly [open: string, close: string] | undefined;
  /** What the answer begins within: thoughts that the prompt has opened, or a text that the caller has begun. */
  readonly within: 'thoughts' | 'text' | undefined;
  /** The id of the answer's call of that number. */
  readonly id: (call: number) => string;
}

type State = 'start' | 'thoughts' | 'thought' | 'text' | 'call' | 'called' | 'done';

export class DividedAnswer implements AnswerDivider {
  readonly calls: AnsweredCall[] = [];
  thinking = '';
  readonly #options: DivideOptions;
  readonly #openings: readonly Opening[];
  readonly #marks: readonly string[];
  #state: State;
  #held = '';
  /** Whether text was shown already. */
  #said: boolean;
  #parts: DividedPart[] = [];
  /** The calls so far, and whether one of them was made twice. */
  readonly #told = new Set<string>();
  #repeats = false;
  #opening: Opening | undefined;
  /** Calls before those behind the opening. */
  #before = 0;
  /** Of each call behind the opening, how many characters of its JSON were shown; infinite for one that was shown whole. */
  #shown: number[] = [];

  constructor(options: DivideOptions) {
    this.#options = options;
    const { dialect, thoughts, within } = options;
    this.#openings = dialect?.openings ?? [];
    this.#marks = [...this.#openings.map(({ text }) => text), ...(thoughts ?? [])];
    this.#state = within === 'thoughts' ? 'thoughts' : within === 'text' || thoughts === undefined ? 'text' : 'start';
    this.#said = within === 'text';
  }

  get done(): boolean {
    return this.#state === 'done';
  }

  push(text: string, control: boolean): readonly DividedPart[] {
    const { ends = [] } = this.#options.dialect ?? {};
    if (this.#state === 'called' && ends.includes(text)) this.#state = 'done';
    // A control token is no text, unless it is part of a mark or of a call.
    else if (control && this.#state !== 'call' && !this.#marks.some((mark) => mark.includes(text)))
      this.#parts.push({ type: 'control', text });
    else {
      this.#held += text;
      this.#run(false);
    }
    return this.#take();
  }

  end(): readonly DividedPart[] {
    this.#run(true);
    return this.#take();
  }

  #take(): readonly DividedPart[] {
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  #run(ended: boolean): void {
    while (this.#step(ended));
  }

  /** Whether there may be more to do. */
  #step(ended: boolean): boolean {
    switch (this.#state) {
      case 'start':
        return this.#start(ended);
      case 'thoughts':
        return this.#think(ended);
      case 'thought': {
        this.#held = this.#held.trimStart();
        if (this.#held === '') return false;
        this.#state = 'text';
        return true;
      }
      case 'text':
        return this.#read(ended);
      case 'call':
        return this.#call(ended);
      case 'called':
        return this.#behind(ended);
      case 'done':
        this.#held = '';
        return false;
      default:
        return this.#state satisfies never;
    }
  }

  #start(ended: boolean): boolean {
    const [open = ''] = this.#options.thoughts ?? [];
    const begun = this.#held.trimStart();
    if (!ended && open.startsWith(begun) && begun !== open) return false;
    if (begun.startsWith(open)) {
      this.#held = begun.slice(open.length);
      this.#state = 'thoughts';
    } else this.#state = 'text';
    return true;
  }

  #think(ended: boolean): boolean {
    const [, close = ''] = this.#options.thoughts ?? [];
    const end = this.#held.indexOf(close);
    const free = end >= 0 ? end : this.#held.length - (ended ? 0 : overlap(this.#held, close));
    let text = this.#held.slice(0, free);
    if (this.thinking === '') text = text.trimStart();
    const said = text.trimEnd();
    if (said !== '') {
      this.thinking += said;
      this.#parts.push({ type: 'thinking', text: said });
    }
    this.#held = end >= 0 ? this.#held.slice(end + close.length) : text.slice(said.length) + this.#held.slice(free);
    if (end >= 0) this.#state = 'thought';
    return end >= 0;
  }

  #read(ended: boolean): boolean {
    const text = this.#held;
    let first: { readonly at: number; readonly opening: Opening } | undefined;
    let waiting = text.length;
    const beginning = text.length - text.trimStart().length;
    for (const opening of this.#openings) {
      const { text: mark, guarded } = opening;
      if (guarded && this.#said) continue;
      const at = guarded ? (text.startsWith(mark, beginning) ? beginning : -1) : text.indexOf(mark);
      if (at >= 0 && (first === undefined || at < first.at)) first = { at, opening };
      const may = guarded
        ? mark.startsWith(text.slice(beginning))
          ? beginning
          : waiting
        : text.length - overlap(text, mark);
      waiting = Math.min(waiting, may);
    }
    const free = first?.at ?? (ended ? text.length : waiting);
    // Whitespace belongs to the text where more text follows.
    const said =
      this.#openings.length === 0 || (ended && first === undefined) ? free : text.slice(0, free).trimEnd().length;
    this.#say(text.slice(0, said));
    this.#held = text.slice(first === undefined ? said : first.at + first.opening.text.length);
    if (first === undefined) return false;
    this.#open(first.opening);
    return true;
  }

  #open(opening: Opening): void {
    this.#opening = opening;
    this.#before = this.calls.length;
    this.#shown = [];
    this.#state = 'call';
  }

  #say(text: string): void {
    if (text === '') return;
    this.#said = true;
    this.#parts.push({ type: 'text', text });
  }

  #call(ended: boolean): boolean {
    const opening = this.#opening;
    if (opening === undefined) return false;
    const heard = this.#hear(opening, ended);
    if (heard === undefined) {
      // It is text after all; what it begins with opens no call.
      this.#said = true;
      this.#parts.push({ type: 'text', text: opening.text });
      this.#state = 'text';
      return true;
    }
    for (const [index, call] of heard.calls.entries())
      if (!this.#enough && (call.whole || !ended)) this.#tell(index, call);
    const { end } = heard;
    if (this.#enough) this.#state = 'done';
    else if (end === undefined && !ended) return false;
    else this.#state = 'called';
    this.#held = this.#held.slice(end ?? this.#held.length);
    return true;
  }

  /** Whether no further call is wanted: a model that repeats a call goes on repeating it. */
  get #enough(): boolean {
    return this.#repeats || this.calls.length >= MOST_CALLS;
  }

  /** What is behind the opening; undefined where it is no call. */
  #hear(opening: Opening, ended: boolean): Heard | undefined {
    // What was shown of a call cannot be taken back: the rest of it is lost.
    const lost = this.#shown.length === 0 ? undefined : { calls: [], end: this.#held.length };
    if (this.#held.length > LONGEST_CALL) return lost;
    const { tools } = this.#options;
    try {
      const heard = opening.read(this.#held, tools, ended);
      const { calls, end } = heard;
      const none = (end !== undefined && calls.length === 0) || (ended && !calls.some(({ whole }) => whole));
      const other = opening.guarded && calls.some(({ name }) => !tools.some((tool) => tool.name === name));
      return none || other ? lost : heard;
    } catch (error) {
      if (error instanceof Malformed) return lost;
      throw error;
    }
  }

  #tell(index: number, { name, json, whole }: HeardCall): void {
    const id = this.#options.id(this.#before + index);
    const shown = this.#shown[index] ?? 0;
    if (shown === Infinity) return;
    if (this.#shown[index] === undefined) this.#parts.push({ type: 'tool-call-start', id, name });
    if (json.length > shown) this.#parts.push({ type: 'tool-call-delta', id, delta: json.slice(shown) });
    this.#shown[index] = whole ? Infinity : json.length;
    if (!whole) return;
    const call = { id, name, arguments: JSON.parse(json) as Readonly<Record<string, unknown>> };
    this.#repeats ||= this.#told.has(name + json);
    this.#told.add(name + json);
    this.calls.push(call);
    this.#parts.push({ type: 'tool-call', ...call } satisfies AnswerPart);
  }

  /** Behind calls come more calls, or the end: small models go on with results of their own invention. */
  #behind(ended: boolean): boolean {
    const rest = this.#held.trimStart();
    this.#held = rest;
    if (rest === '') return false;
    const opening = this.#openings.find(({ text, guarded }) => !guarded && rest.startsWith(text));
    if (opening !== undefined) {
      this.#held = rest.slice(opening.text.length);
      this.#open(opening);
      return true;
    }
    if (!ended && this.#openings.some(({ text, guarded }) => !guarded && text.startsWith(rest))) return false;
    this.#state = 'done';
    return true;
  }
}
