/** Renders a conversation with the model's own Jinja template, as transformers' apply_chat_template does. */
import { ModelError } from '../errors.ts';
import { JinjaTemplate } from './jinja/index.ts';
import { fromJson } from './jinja/values.ts';
import { Text } from './jinja/text.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface ChatTemplateOptions {
  readonly addGenerationPrompt: boolean;
  readonly bosToken: string;
  readonly eosToken: string;
  readonly tools?: readonly unknown[];
}

/** The longest published template has about 20,000 characters. */
const LONGEST_TEMPLATE = 1 << 20;

/** Templates that a file may name in place of giving one. */
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

const parsed = new Map<string, JinjaTemplate>();

/** `template` is Jinja, or the name `chatml` or `llama2`. Throws `ModelError('tokenizer')` when the template cannot be parsed, fails, or refuses the messages (its `raise_exception`). */
export function renderChat(template: string, messages: readonly ChatMessage[], options: ChatTemplateOptions): string {
  try {
    if (template.length > LONGEST_TEMPLATE)
      throw new Error(`${template.length} characters, at most ${LONGEST_TEMPLATE} are read`);
    let ready = parsed.get(template);
    if (ready === undefined) {
      ready = new JinjaTemplate(NAMED.get(template) ?? template);
      parsed.clear();
      parsed.set(template, ready);
    }
    const input = messages.reduce((sum, { content }) => sum + content.length, 0);
    const values = new Map([
      ['messages', fromJson(messages)],
      ['add_generation_prompt', options.addGenerationPrompt],
      ['bos_token', new Text(options.bosToken)],
      ['eos_token', new Text(options.eosToken)],
      ...(options.tools === undefined ? [] : [['tools', fromJson(options.tools)] as const]),
    ] as const);
    return ready.render(values, input).text;
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new ModelError(
      'tokenizer',
      `chat template: ${problem}; pass a plain prompt, or a model file whose template accepts these messages`,
      { problem },
      { cause },
    );
  }
}
