import { describe, expect, test } from '@jest/globals';
import { renderChat } from '../../src/chat/template.ts';
import { ggufFile, sharedFile } from '../support/tokenizers.ts';

const options = { addGenerationPrompt: true, bosToken: '<s>', eosToken: '</s>' };
const messages = [
  { role: 'user', content: 'Hello' },
  { role: 'assistant', content: 'Hi' },
  { role: 'user', content: 'Bye {{ x }}' },
];

describe('renderChat', () => {
  test('renders messages, special tokens and the generation prompt', () => {
    const template =
      "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>{{ message['content'] | trim }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";
    expect(renderChat(template, messages, options)).toBe(
      '<s><|user|>Hello</s><|assistant|>Hi</s><|user|>Bye {{ x }}</s><|assistant|>',
    );
    expect(renderChat(template, messages.slice(0, 1), { ...options, addGenerationPrompt: false })).toBe(
      '<s><|user|>Hello</s>',
    );
  });

  test('knows two templates by name', () => {
    const system = { role: 'system', content: 'Be brief' };
    expect(renderChat('chatml', [system, ...messages.slice(0, 1)], options)).toBe(
      '<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n',
    );
    expect(renderChat('llama2', [system, ...messages], options)).toBe(
      '<s>[INST] <<SYS>>\nBe brief\n<</SYS>>\n\nHello [/INST] Hi </s><s>[INST] Bye {{ x }} [/INST]',
    );
  });

  test('has the functions that templates of transformers use', () => {
    expect(renderChat("{{ strftime_now('%Y') }}{% for i in range(2) %}{{ i }}{% endfor %}", [], options)).toMatch(
      /^\d{4}01$/,
    );
  });

  test('passes tools on', () => {
    expect(
      renderChat('{% if tools %}{{ tools | tojson }}{% endif %}', [], { ...options, tools: [{ name: 'f' }] }),
    ).toContain('"f"');
    expect(renderChat('{% if tools %}x{% endif %}', [], options)).toBe('');
  });

  test("Qwen2's own template", async () => {
    const file = sharedFile('tokenizers/gguf-vocab/ggml-vocab-qwen2.gguf');
    if (file === undefined) return;
    const metadata = await ggufFile(file);
    const template = metadata.kind === 'gguf' ? metadata.values.get('tokenizer.chat_template') : undefined;
    expect(renderChat(String(template), messages.slice(0, 1), options)).toBe(
      '<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n',
    );
  });

  test.each([
    ['{% if %}', 'cannot be parsed'],
    ["{{ raise_exception('Only user messages') }}", 'Only user messages'],
    ['{{ nothing.at.all() }}', ''],
    ['x'.repeat((1 << 20) + 1), '1048577 characters'],
  ])('a bad template is a ModelError', (template, message) => {
    let thrown: unknown;
    try {
      renderChat(template, messages, options);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ name: 'ModelError', code: 'tokenizer' });
    if (message !== 'cannot be parsed') expect(String(thrown)).toContain(message);
  });
});
