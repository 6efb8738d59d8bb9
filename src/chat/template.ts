/** Renders messages with the model's own Jinja template, as transformers' apply_chat_template does. */
import { clipped, ModelError } from '../errors.ts';
import { JinjaTemplate } from './jinja/index.ts';
import { Text } from './jinja/text.ts';
import { fromJson, type Value } from './jinja/values.ts';
import type { ToolSettings } from './tools.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: unknown;
}

export interface ChatTemplateOptions {
  readonly addGenerationPrompt: boolean;
  readonly bosToken: string;
  readonly eosToken: string;
  readonly tools?: readonly unknown[] | undefined;
  /** Variables for the template besides these, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

/** The longest published template has about 20,000 characters. */
const LONGEST_TEMPLATE = 1 << 20;

/** Templates that a file may refer to by name. */
const NAMED: ReadonlyMap<string, string> = new Map([
  [
    'chatml',
    '{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}',
  ],
  [
    'llama2',
    "{% set ns = namespace(system='') %}{% for message in messages %}{% if message.role == 'system' %}{% set ns.system = '<<SYS>>\n' + message.content + '\n<</SYS>>\n\n' %}" +
      "{% elif message.role == 'user' %}{{ bos_token }}[INST] {{ ns.system }}{{ message.content }} [/INST]{% set ns.system = '' %}" +
      '{% else %} {{ message.content }} {{ eos_token }}{% endif %}{% endfor %}',
  ],
]);

/** The last template, parsed: an app usually uses one model at a time. */
let parsed: { readonly source: string; readonly template: JinjaTemplate } | undefined;

/**
 * Renders messages. `template` is Jinja, or the name `chatml` or `llama2`; `input` is the approximate number of
 * characters in `messages`. The result records which characters come from the messages. Throws
 * `ModelError('tokenizer')` when the template cannot be parsed, fails, takes too long, or refuses the messages (its
 * `raise_exception`).
 */
export function renderValues(
  template: string,
  messages: readonly Value[],
  input: number,
  { addGenerationPrompt, bosToken, eosToken, tools, variables = {} }: ChatTemplateOptions,
): Text {
  try {
    if (template.length > LONGEST_TEMPLATE)
      throw new Error(`${template.length} characters, at most ${LONGEST_TEMPLATE} are read`);
    if (parsed?.source !== template)
      parsed = { source: template, template: new JinjaTemplate(NAMED.get(template) ?? template) };
    const values = new Map<string, Value>();
    for (const [name, value] of Object.entries(variables)) values.set(name, fromJson(value));
    if (tools !== undefined) values.set('tools', fromJson(tools));
    values.set('messages', messages);
    values.set('add_generation_prompt', addGenerationPrompt);
    values.set('bos_token', new Text(bosToken));
    values.set('eos_token', new Text(eosToken));
    return parsed.template.render(values, input);
  } catch (cause) {
    const problem = clipped(cause instanceof Error ? cause.message : String(cause), 500);
    throw new ModelError(
      'tokenizer',
      `chat template: ${problem}; use model.complete with a prompt of your own, or a model file whose template accepts these messages`,
      { problem },
      { cause },
    );
  }
}

/** Messages as plain text. */
export function renderChat(template: string, messages: readonly ChatMessage[], options: ChatTemplateOptions): string {
  return renderValues(
    template,
    messages.map((message) => fromJson(message)),
    JSON.stringify(messages).length,
    options,
  ).text;
}

/** A tool as templates expect it: in the shape of OpenAI's API. */
export function declaration({ name, description = '', inputSchema }: ToolSettings): Readonly<Record<string, unknown>> {
  const parameters = { type: 'object', properties: {}, ...inputSchema };
  return { type: 'function', function: { name, description, parameters } };
}
