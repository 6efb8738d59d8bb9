/**
 * Turns through a chat template, which makes text of text. What comes from a message is known in the result and is no place for control tokens. An
 * image goes through the template as a mark and is put back in its place: marks are the template's own text, so that no message can contain one.
 * A template that takes a list of parts writes a word of its own for an image. In a template that takes text a line break follows an image,
 * as in the prompts that models of this kind were trained on.
 */
import { joined, MessageText, type Content, type PromptImage } from '../see/images.ts';
import { abilitiesOf, type TemplateAbilities } from './abilities.ts';
import { adapt, type AdaptedMessage, type ToolTelling } from './adapt.ts';
import { concat, Text } from './jinja/text.ts';
import { Dict, fromJson, type Value } from './jinja/values.ts';
import type { Turn } from './messages.ts';
import { declaration, renderValues, type ChatTemplateOptions } from './template.ts';

/** U+FFF9, "interlinear annotation anchor": begins a mark. */
const ANCHOR = '\uFFF9';
const END = '\uFFFB';
const MARK = /\uFFF9(\d+)\uFFFB/g;

/** The conversation as the template writes it. Throws `ModelError('tokenizer')` as `renderValues` does. */
export function renderTurns(
  template: string,
  turns: readonly Turn[],
  options: ChatTemplateOptions,
  telling?: ToolTelling,
): Content {
  const abilities = abilitiesOf(template);
  const images: PromptImage[] = [];
  let input = 0;
  const value = (message: AdaptedMessage): Value => {
    const made = Dict.of([['role', new Text(message.role)]]);
    made.set(new Text('content'), abilities.content === 'text' ? asText(message, images) : asParts(message, images));
    input += message.parts.reduce((sum, { content }) => sum + lengthOf(content), 0);
    // By the names under which templates know thoughts.
    for (const name of message.thinking === undefined ? [] : ['reasoning_content', 'thinking'])
      made.set(new Text(name), Text.content(message.thinking ?? ''));
    if (message.calls !== undefined) made.set(new Text('tool_calls'), fromJson(message.calls.map(functionCall)));
    if (message.name !== undefined) made.set(new Text('name'), Text.content(message.name));
    if (message.callId !== undefined) made.set(new Text('tool_call_id'), Text.content(message.callId));
    return made;
  };
  const messages = adapt(turns, abilities, telling).map(value);
  const given = telling === undefined ? options : { ...options, ...toolOptions(telling, options) };
  input += JSON.stringify(telling?.tools ?? []).length;
  return restored(renderValues(template, messages, input, given), images, abilities);
}

/** Tools in the variable in which the template takes them. */
function toolOptions({ speech, tools }: ToolTelling, { variables }: ChatTemplateOptions): Partial<ChatTemplateOptions> {
  const { variable } = speech;
  if (variable === undefined || tools.length === 0) return {};
  const declared = tools.map(declaration);
  return variable === 'tools' ? { tools: declared } : { variables: { ...variables, [variable]: declared } };
}

function lengthOf(content: Content): number {
  return content.reduce((sum, part) => sum + (typeof part === 'string' ? part.length : 16), 0);
}

function functionCall({
  id,
  name,
  arguments: given,
}: {
  id?: string | undefined;
  name: string;
  arguments: unknown;
}): unknown {
  return { id, type: 'function', function: { name, arguments: given } };
}

/** A message's text. Where its control tokens are allowed it counts as the template's own, and may hold no mark. */
function said(text: string, special: boolean): Text {
  return special ? new Text(text.replaceAll(ANCHOR, '')) : Text.content(text);
}

function asText({ parts }: AdaptedMessage, images: PromptImage[]): Text {
  return concat(
    parts.flatMap(({ content, special }) =>
      content.map((part) => {
        if (typeof part === 'string') return said(part, special);
        if (part instanceof MessageText) return Text.content(part.text);
        return new Text(`${ANCHOR}${images.push(part) - 1}${END}\n`);
      }),
    ),
  );
}

function asParts({ parts }: AdaptedMessage, images: PromptImage[]): readonly Value[] {
  return parts.flatMap(({ content, special }) =>
    content.map((part) => {
      if (typeof part === 'string' || part instanceof MessageText) {
        const text = typeof part === 'string' ? said(part, special) : Text.content(part.text);
        return Dict.of([
          ['type', new Text('text')],
          ['text', text],
        ]);
      }
      images.push(part);
      return Dict.of([['type', new Text('image')]]);
    }),
  );
}

/** The text in parts by where they come from, with the images in their places. */
function restored(text: Text, images: readonly PromptImage[], { imageWord }: TemplateAbilities): Content {
  const parts: Content[number][] = [];
  let next = 0;
  for (const run of text.runs()) {
    if (run.content) parts.push(new MessageText(run.text));
    else if (images.length === 0) parts.push(run.text);
    else if (imageWord === undefined) {
      let done = 0;
      for (const { 0: mark, 1: number, index } of run.text.matchAll(MARK)) {
        const image = images[Number(number)];
        parts.push(run.text.slice(done, index), image ?? mark);
        done = index + mark.length;
      }
      parts.push(run.text.slice(done));
    } else {
      const [first = '', ...rest] = run.text.split(imageWord);
      parts.push(first);
      for (const piece of rest) parts.push(images[next++] ?? imageWord, piece);
    }
  }
  return joined(parts);
}
