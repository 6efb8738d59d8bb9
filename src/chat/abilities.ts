/** What a chat template supports, determined once by rendering small conversations with it. */
import { renderChat, type ChatMessage, type ChatTemplateOptions } from './template.ts';

/** What a model's chat template supports. Whatever it does not support is merged or converted. */
export interface TemplateAbilities {
  /** Whether the template reads a message's content as one text, or only as a list of parts. */
  readonly content: 'text' | 'parts';
  /** The text that it writes for an image part, if content is a list of parts. */
  readonly imageWord: string | undefined;
  /** A system message at the beginning. One that is not supported becomes part of the next user message. */
  readonly system: boolean;
  /** System messages further on. */
  readonly laterSystem: boolean;
  /** Two consecutive messages of one role; if not supported, they are merged. */
  readonly repeatedRoles: boolean;
  /**
   * A conversation that begins with a greeting of the assistant; if not supported, an empty user message is inserted
   * before it.
   */
  readonly assistantFirst: boolean;
  /** A conversation in which the user has said nothing yet. */
  readonly withoutUser: boolean;
  /** Shows the model the tools that it may call; if not supported, tools, calls and results are written as text. */
  readonly tools: boolean;
  /** Calls of tools in the assistant's messages. */
  readonly toolCalls: boolean;
  /** Messages with the role `tool`. */
  readonly toolResults: boolean;
  /** Several calls in one message; where it cannot, each is written with its result. */
  readonly parallelCalls: boolean;
  /** Knows `enable_thinking`. */
  readonly thinking: boolean;
  /** What begins and ends the model's thoughts in an answer; undefined for a model that does not think before it answers. */
  readonly thoughts: readonly [open: string, close: string] | undefined;
  /** Opens the assistant's answer. */
  readonly generationPrompt: boolean;
}

// Words that no template writes, in the order in which the test conversation uses them.
const [A, B, C, D] = ['zqalpha', 'zqbravo', 'zqcharlie', 'zqdelta'];
const TOOL = {
  type: 'function',
  function: {
    name: 'zqtool',
    description: 'zqdescription',
    parameters: {
      type: 'object',
      properties: { zqkey: { type: 'string', description: 'zqvalue' } },
      required: ['zqkey'],
    },
  },
};
const OPTIONS = { addGenerationPrompt: false, bosToken: '', eosToken: '' };

/** Qwen, SmolLM and DeepSeek; Mistral; Gemma. */
const THOUGHTS = [
  ['<think>', '</think>'],
  ['[THINK]', '[/THINK]'],
  ['<|channel>thought\n', '<channel|>'],
] as const;

let last: { readonly template: string; readonly abilities: TemplateAbilities } | undefined;

/** Keeps the result for the last template. */
export function abilitiesOf(template: string): TemplateAbilities {
  if (last?.template !== template) last = { template, abilities: probe(template) };
  return last.abilities;
}

function probe(template: string): TemplateAbilities {
  const rendered = (messages: readonly ChatMessage[], more: Partial<ChatTemplateOptions> = {}): string | undefined => {
    try {
      return renderChat(template, messages, { ...OPTIONS, ...more });
    } catch {
      return undefined;
    }
  };
  const readsText = says(rendered([{ role: 'user', content: A }]), A);
  const parts = (content: readonly unknown[]): string | undefined => {
    const text = rendered([{ role: 'user', content }]);
    // A template for text prints the list as Python would.
    return text?.includes("'type'") === true || text?.includes('"type"') === true ? undefined : text;
  };
  const content = !readsText && says(parts([{ type: 'text', text: A }]), A) ? 'parts' : 'text';
  const message = (role: string, text: string): ChatMessage => ({
    role,
    content: content === 'text' ? text : [{ type: 'text', text }],
  });
  const can = (
    messages: readonly ChatMessage[],
    words: readonly string[],
    more?: Partial<ChatTemplateOptions>,
  ): boolean => says(rendered(messages, more), ...words);
  const user = (text: string): ChatMessage => message('user', text);
  const assistant = (text: string): ChatMessage => message('assistant', text);
  const system = (text: string): ChatMessage => message('system', text);
  // Mistral's templates want ids of nine letters and digits.
  const called = (word: string, id: string): unknown => ({
    id,
    type: 'function',
    function: { name: 'zqtool', arguments: { zqkey: word } },
  });
  const calling = { ...assistant(''), tool_calls: [called('zqargument', 'zqcall000')] };
  const both = { ...assistant(''), tool_calls: [called(A, 'zqcall000'), called(B, 'zqcall001')] };
  const result = { ...message('tool', C), name: 'zqtool', tool_call_id: 'zqcall000' };
  const open = { addGenerationPrompt: true };
  const thinking = (enable: boolean): string | undefined =>
    rendered([user(A)], { ...open, variables: { enable_thinking: enable } });
  return {
    content,
    imageWord: content === 'parts' ? imageWord(parts) : undefined,
    system: can([system(A), user(B)], [A, B]),
    laterSystem:
      can([user(A), assistant(B), system(C), user(D)], [A, B, C, D]) && can([system(A), system(B), user(C)], [A, B, C]),
    repeatedRoles: can([user(A), user(B)], [A, B]) && can([user(A), assistant(B), assistant(C), user(D)], [A, B, C, D]),
    assistantFirst: can([assistant(A), user(B)], [A, B]),
    withoutUser: can([system(A)], [A]),
    tools: can([user(A)], ['zqtool'], { tools: [TOOL] }),
    toolCalls: can([user(A), calling, result], ['zqtool', 'zqargument']),
    toolResults: can([user(A), calling, result], [A, C]),
    parallelCalls: can(
      [user(A), both, result, { ...message('tool', D), name: 'zqtool', tool_call_id: 'zqcall001' }],
      [A, B, C, D],
    ),
    thinking: thinking(true) !== thinking(false),
    thoughts: THOUGHTS.find(([, close]) => template.includes(close)),
    generationPrompt: rendered([user(A)], open) !== rendered([user(A)]),
  };
}

/** Returns the text between two texts with an image part between them, or what comes before a text in templates that write images first (LLaVA). */
function imageWord(parts: (content: readonly unknown[]) => string | undefined): string | undefined {
  const image = { type: 'image' };
  const text = parts([{ type: 'text', text: A }, image, { type: 'text', text: B }]);
  const start = text?.indexOf(A) ?? -1;
  const end = text?.indexOf(B) ?? -1;
  const between = start < 0 || end < start ? '' : (text?.slice(start + A.length, end).trim() ?? '');
  if (between !== '') return between;
  const before = (content: readonly unknown[]): string => parts(content)?.split(A)[0] ?? '';
  const alone = before([{ type: 'text', text: A }]);
  const first = before([image, { type: 'text', text: A }]);
  const word = first.startsWith(alone) ? first.slice(alone.length).trim() : '';
  return word === '' ? undefined : word;
}

/** Tells whether the text contains the words in their order. */
function says(text: string | undefined, ...words: readonly string[]): boolean {
  let at = 0;
  return (
    text !== undefined &&
    words.every((word) => {
      const found = text.indexOf(word, at);
      at = found + word.length;
      return found >= 0;
    })
  );
}
