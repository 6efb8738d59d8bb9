/** What can be typed in a conversation beside messages. */
import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { InputError } from '../../errors.ts';
import { nearest } from '../../face/problem.ts';
import { cannotSee } from '../../see/images.ts';
import { size, type CliContext } from '../terminal.ts';
import { textOf, type Conversation, type Said } from './conversation.ts';
import { readTranscript, saveTranscript } from './transcript.ts';

/** What a command works on. */
export interface Chat {
  readonly conversation: Conversation;
  readonly place: CliContext['place'];
  /** Pictures that the next message shows. */
  pictures: readonly string[];
  /** Files that this conversation was saved to: they may be overwritten. */
  readonly saved: Set<string>;
  tell(text: string): Promise<void>;
  ask(content: Said['content']): Promise<void>;
}

interface ChatCommand {
  readonly names: readonly string[];
  readonly argument?: string;
  readonly summary: string;
  /** Whether the argument is the name of a file. */
  readonly file?: boolean;
  /** Returns true to end the conversation. */
  run(chat: Chat, argument: string): Promise<boolean | void>;
}

const COMMANDS: readonly ChatCommand[] = [
  {
    names: ['/help', '/?'],
    summary: 'this list',
    run: (chat) => chat.tell(CHAT_HELP),
  },
  {
    names: ['/image'],
    argument: 'FILE',
    summary: 'shows a picture with the next message (a path or a URL)',
    file: true,
    async run(chat, argument) {
      const { see, missing } = chat.conversation.model.capabilities;
      if (!see) throw cannotSee('/image', missing);
      const file = fileOf(argument);
      const { width, height } = await chat.place.readPicture(file);
      chat.pictures = [...chat.pictures, file];
      await chat.tell(`${basename(file)}, ${width} x ${height}: the next message shows it\n`);
    },
  },
  {
    names: ['/undo'],
    summary: 'takes back the last question and its answer',
    async run(chat) {
      const question = await chat.conversation.undo();
      if (question === undefined) throw nothingAsked();
      await chat.tell(`took back: ${brief(textOf(question))}\n`);
    },
  },
  {
    names: ['/retry'],
    summary: 'answers the last question anew',
    async run(chat) {
      const question = await chat.conversation.undo();
      if (question === undefined) throw nothingAsked();
      await chat.ask(question);
    },
  },
  {
    names: ['/clear', '/reset'],
    summary: 'begins a new conversation, with the same system message',
    async run(chat) {
      await chat.conversation.clear();
      chat.pictures = [];
      await chat.tell('a new conversation\n');
    },
  },
  {
    names: ['/system'],
    argument: '[TEXT]',
    summary: 'shows the system message, or replaces it (/system - removes it)',
    async run(chat, argument) {
      const { conversation } = chat;
      if (argument !== '') await conversation.setSystem(argument === '-' ? undefined : argument);
      const { system } = conversation;
      await chat.tell(system === undefined ? 'there is no system message\n' : `system: ${system}\n`);
    },
  },
  {
    names: ['/think'],
    argument: 'on|off|auto',
    summary: 'whether a model that can think does so before it answers',
    async run({ conversation, tell }, argument) {
      const choices = new Map([
        ['on', true],
        ['off', false],
        ['auto', undefined],
      ]);
      if (!choices.has(argument)) throw new InputError('argument', '/think takes on, off or auto');
      conversation.thinking = choices.get(argument);
      await tell(`thinking: ${argument}\n`);
    },
  },
  {
    names: ['/model'],
    summary: 'the model, the device, and what the conversation has cost',
    run: async (chat) => chat.tell(await described(chat.conversation)),
  },
  {
    names: ['/save'],
    argument: 'FILE',
    summary: 'writes the conversation as Markdown, or as JSON where the name ends in .json',
    file: true,
    async run(chat, argument) {
      const [, force, name = ''] = /^(--force\s+)?(.*)$/s.exec(argument) ?? [];
      const file = fileOf(name);
      await saveTranscript(chat.conversation, file, force !== undefined || chat.saved.has(file));
      chat.saved.add(file);
      await chat.tell(`saved: ${file}\n`);
    },
  },
  {
    names: ['/load'],
    argument: 'FILE',
    summary: 'goes on with a conversation that was saved as JSON',
    file: true,
    async run(chat, argument) {
      const { system, said } = await readTranscript(fileOf(argument));
      await chat.conversation.replace(system, said);
      await chat.tell(`${said.length} ${said.length === 1 ? 'message' : 'messages'}\n`);
    },
  },
  {
    names: ['/exit', '/quit', '/bye'],
    summary: 'ends the program (also Ctrl-D)',
    run: async () => true,
  },
];

const KEYS: readonly (readonly [string, string])[] = [
  ['Ctrl-C', 'stops an answer; twice at an empty prompt, ends the program'],
  ['Up, Down', 'messages of this and of earlier conversations'],
  ['Tab', 'completes a command, or the name of a file'],
  ['\\ at the end', 'goes on in the next line; so does what stands between """ and """'],
  ['//text', 'sends a message that begins with a slash'],
];

function table(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([left, right]) => `${left.padEnd(20)}${right}\n`).join('');
}

export const CHAT_HELP = `${table(
  COMMANDS.map(({ names, argument = '', summary }) => [`${names.join(', ')} ${argument}`.trim(), summary]),
)}\n${table(KEYS)}`;

const NAMES = COMMANDS.flatMap(({ names }) => names);

/** Runs a line that begins with a slash. Returns true to end the conversation. Throws `InputError` for an unknown command. */
export async function runCommand(chat: Chat, line: string): Promise<boolean> {
  const [, name = '', argument = ''] = /^(\S+)\s*(.*)$/s.exec(line.trim()) ?? [];
  const command = COMMANDS.find(({ names }) => names.includes(name));
  if (command === undefined) {
    const near = nearest(name, NAMES);
    const meant = near === undefined ? '' : `did you mean ${near}? `;
    throw new InputError('argument', `${name} is not a command; ${meant}/help lists them, //... sends such a text`);
  }
  return (await command.run(chat, argument)) === true;
}

/** What Tab makes of a line: names of commands, and of files behind those that take one. */
export async function completions(line: string): Promise<readonly string[]> {
  const [, before, name = '', file = ''] = /^((\/\S+)\s+)(.*)$/s.exec(line) ?? [];
  if (before === undefined) return NAMES.filter((candidate) => candidate.startsWith(line));
  if (COMMANDS.find(({ names }) => names.includes(name))?.file !== true) return [];
  const folder = /[/\\]$/.test(file) ? file : file === '' ? '.' : dirname(file);
  const start = /[/\\]$/.test(file) ? '' : basename(file);
  const entries = await readdir(fileOf(folder), { withFileTypes: true }).catch(() => []);
  const typed = file.slice(0, file.length - start.length);
  return entries
    .filter((entry) => entry.name.startsWith(start) && (start !== '' || !entry.name.startsWith('.')))
    .map((entry) => `${before}${typed}${entry.name}${entry.isDirectory() ? '/' : ''}`);
}

/** The name of a file as people type it, or drag it into a terminal: in quotes, with escaped spaces, or below `~`. */
function fileOf(argument: string): string {
  const text = argument.trim();
  if (text === '') throw new InputError('argument', 'the name of a file is missing');
  const [, , inner] = /^(["'])(.*)\1$/s.exec(text) ?? [];
  const plain = inner ?? (process.platform === 'win32' ? text : text.replace(/\\([ ()'"\\&])/g, '$1'));
  return /^~[/\\]/.test(plain) ? join(homedir(), plain.slice(2)) : plain;
}

function nothingAsked(): InputError {
  return new InputError('empty', 'nothing was asked yet');
}

function brief(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 60 ? `${line.slice(0, 59).toWellFormed()}…` : line;
}

async function described({ model, session, said }: Conversation): Promise<string> {
  const { capabilities, device } = model;
  const memory = await model.memory();
  const { tokens, rate } = session.usage;
  const can = (['chat', 'see', 'paint', 'edit', 'embed', 'rerank'] as const).filter((name) => capabilities[name]);
  return table([
    ['model', `${model.name}, ${model.architecture}, ${millions(model.parameters)} parameters, ${size(model.bytes)}`],
    ['can', [...can, ...capabilities.missing].join('; ')],
    ['device', `${device.description} (${device.reason})`],
    [
      'memory',
      `${size(memory.weights)} of weights, ${size(memory.kv)} for contexts (${size(memory.pageBytes)} in use)`,
    ],
    ['context', `${session.contextUsage} of ${session.contextWindow} tokens, ${said.length} messages`],
    [
      'answers',
      `${tokens.generated} tokens at ${rate.decode.toFixed(1)}/s; ${tokens.prompt - tokens.cached} read at ${rate.prefill.toFixed(1)}/s, ${tokens.cached} reused`,
    ],
  ]);
}

function millions(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(2)} billion` : `${(count / 1e6).toFixed(1)} million`;
}
