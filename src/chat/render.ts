/**
 * Turns through a chat template, which makes text of text: an image goes through it as a mark and is put back in its place. A mark begins with a
 * character that is escaped wherever a message holds it, so that no message can contain one; and where a template prints its own word for
 * an image, that word is escaped in messages, too. In a template that takes messages as text a line break follows an image, as in the prompts
 * that models of this kind were trained on.
 */
import type { Content, PromptImage } from '../see/images.ts';
import { imagesOf } from '../see/images.ts';
import type { Turn } from './messages.ts';
import { renderChat, type ChatTemplateOptions } from './template.ts';

/** U+FFF9, "interlinear annotation anchor": begins a mark or, before U+FFFA, stands for itself. */
const ANCHOR = '\uFFF9';
const SELF = '\uFFFA';
const END = '\uFFFB';
const MARK = /\uFFF9(?:(\d+)\uFFFB|\uFFFA)/g;

/** The conversation as the template writes it. Throws `ModelError('tokenizer')` as `renderChat` does. */
export function renderTurns(template: string, turns: readonly Turn[], options: ChatTemplateOptions): Content {
  const images = turns.flatMap(({ content }) => imagesOf(content));
  let next = 0;
  const marked = (content: Content): string =>
    content.map((part) => (typeof part === 'string' ? escaped(part) : `${ANCHOR}${next++}${END}\n`)).join('');
  const messages = turns.map(({ role, content }) => ({ role, content: marked(content) }));
  return restored(renderChat(template, messages, options), images);
}

function escaped(text: string): string {
  return text.replaceAll(ANCHOR, ANCHOR + SELF);
}

function restored(text: string, images: readonly PromptImage[]): Content {
  const parts: (string | PromptImage)[] = [];
  let done = 0;
  for (const { 0: mark, 1: number, index } of text.matchAll(MARK)) {
    const image = number === undefined ? undefined : images[Number(number)];
    parts.push(text.slice(done, index), image ?? ANCHOR);
    done = index + mark.length;
  }
  parts.push(text.slice(done));
  return parts;
}
