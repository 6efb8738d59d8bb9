/** Where a conversation's messages come from: a line editor on a terminal, or the lines of a pipe. */
import { createInterface, type Interface } from 'node:readline/promises';
import { readLines, type CliContext } from '../terminal.ts';
import { styled } from '../style.ts';
import { Echo } from './echo.ts';
import type { History } from './history.ts';
import { MultiLine, type Typed } from './multi-line.ts';

export interface Editor {
  /** The next message; undefined at the end of the input. */
  next(): Promise<Typed | undefined>;
  /** Runs `body`, an answer: what is typed meanwhile is kept for later, and Ctrl-C aborts it. */
  during(body: (signal: AbortSignal) => Promise<void>): Promise<void>;
  close(): void;
}

/** Lines of a pipe or a file. Ctrl-C ends the program, as in any pipeline. */
export function pipeEditor({ input }: CliContext): Editor {
  const lines = readLines(input);
  const message = new MultiLine();
  return {
    async next() {
      for (;;) {
        const { done, value } = await lines.next();
        const typed = done === true ? message.end() : message.add(value);
        if (typed !== undefined || done === true) return typed;
      }
    },
    during: (body) => body(new AbortController().signal),
    close: () => undefined,
  };
}

const PROMPT = '> ';
const CONTINUED = '... ';
/** The terminal then marks what is pasted, so that its line ends send nothing. */
const MARK_PASTES = '\x1b[?2004h';
const MARK_NO_PASTES = '\x1b[?2004l';
const AGAIN = '(Ctrl-C once more, or Ctrl-D, ends the program)\n';

type Completer = (line: string) => Promise<readonly string[]>;

/** Node's readline with several lines a message, a history of whole messages, and an echo that rests while an answer is written. */
export class TerminalEditor implements Editor {
  readonly #errors: CliContext['errors'];
  readonly #echo: Echo;
  readonly #lines: Interface;
  readonly #history: History;
  readonly #message = new MultiLine();
  readonly #marks: boolean;
  readonly #queue: Typed[] = [];
  #recalled: string[] = [];
  #wake: (() => void) | undefined;
  #running: AbortController | undefined;
  #pasting = false;
  #warned = false;
  #ended = false;

  /** `completer` gives the lines that Tab may make of the one that was begun. */
  constructor({ input, errors }: CliContext, history: History, completer: Completer) {
    this.#errors = errors;
    this.#history = history;
    this.#marks = styled(errors);
    this.#echo = new Echo(errors);
    this.#lines = createInterface({
      input,
      output: this.#echo,
      terminal: true,
      prompt: PROMPT,
      history: [...history.entries],
      historySize: Number.MAX_SAFE_INTEGER,
      completer: async (line): Promise<[string[], string]> =>
        this.#pasting || !line.startsWith('/') ? [['\t'], ''] : [[...(await completer(line))], line],
    });
    this.#lines.on('line', (line) => this.#take(line));
    // Readline keeps lines; the arrow keys are to bring messages. It lets listeners change its list, which is this one.
    this.#lines.on('history', (array) => (this.#recalled = array));
    this.#lines.on('SIGINT', () => this.#interrupt());
    this.#lines.on('SIGCONT', () => this.#markPastes(true));
    this.#lines.on('close', () => {
      this.#ended = true;
      this.#running?.abort(STOPPED);
      this.#wake?.();
    });
    // Readline reads the marks of a paste, and takes no notice of them.
    input.on('keypress', (_, key?: { readonly name?: string }) => {
      if (key?.name === 'paste-start') this.#pasting = true;
      if (key?.name === 'paste-end') this.#pasting = false;
    });
    this.#markPastes(true);
  }

  async next(): Promise<Typed | undefined> {
    const waiting = this.#queue.shift();
    if (waiting !== undefined) {
      this.#errors.write(`${PROMPT}${waiting.text}\n`);
      return waiting;
    }
    if (this.#ended) return undefined;
    this.#echo.muted = false;
    this.#prompt();
    await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = undefined;
    this.#echo.muted = true;
    return this.#queue.shift();
  }

  async during(body: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    try {
      await body(running.signal);
    } finally {
      this.#running = undefined;
    }
  }

  close(): void {
    this.#markPastes(false);
    this.#lines.close();
  }

  #markPastes(on: boolean): void {
    if (this.#marks) this.#errors.write(on ? MARK_PASTES : MARK_NO_PASTES);
  }

  #prompt(): void {
    this.#lines.setPrompt(this.#message.pending ? CONTINUED : PROMPT);
    // Keeps what was typed in the meantime.
    this.#lines.prompt(true);
  }

  #take(line: string): void {
    this.#warned = false;
    const typed = this.#message.add(line, this.#pasting);
    if (typed !== undefined) void this.#history.add(typed.text);
    this.#recalled.splice(0, this.#recalled.length, ...this.#history.entries);
    if (typed === undefined) return this.#prompt();
    this.#queue.push(typed);
    this.#wake?.();
  }

  /** Ctrl-C stops an answer, gives up what was typed, or, twice at an empty prompt, ends the program. */
  #interrupt(): void {
    if (this.#running !== undefined) return this.#running.abort(STOPPED);
    if (this.#lines.line !== '' || this.#message.pending) {
      this.#warned = false;
      this.#message.clear();
      this.#lines.write(null, { ctrl: true, name: 'e' });
      this.#lines.write(null, { ctrl: true, name: 'u' });
      this.#errors.write('^C\n');
      return this.#prompt();
    }
    this.#errors.write('\n');
    if (this.#warned) return this.#lines.close();
    this.#warned = true;
    this.#errors.write(AGAIN);
    this.#prompt();
  }
}

const STOPPED = new Error('stopped');
