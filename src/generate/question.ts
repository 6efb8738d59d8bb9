/** Which tokens of a prompt are its question, for planners that compare it with the rest of the prompt. */
import type { Prompt } from '../chat/prompt.ts';
import { MessageText, type Content } from '../see/images.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/** Of a longer paragraph the last tokens ask. */
const MOST = 512;

/**
 * Returns the tokens `[start, end)` of the last paragraph of the last message whose text the template closes; undefined
 * when there is no message. What follows the message is encoded on its own, which is exact where a control token
 * follows, as in most templates; otherwise the span may be a token off.
 */
export function questionSpan(
  tokenizer: Pick<Tokenizer, 'encode'>,
  { ids }: Pick<Prompt, 'ids'>,
  content: Content,
): readonly [start: number, end: number] | undefined {
  const isText = (part: Content[number] | undefined): part is MessageText =>
    part instanceof MessageText && part.text.trim() !== '';
  const closed = content.slice(0, -1).findLastIndex(isText);
  const last = closed < 0 && isText(content.at(-1)) ? content.length - 1 : closed;
  const message = content[last];
  if (!isText(message)) return undefined;
  const text = message.text.trimEnd();
  const paragraph = text.slice(text.lastIndexOf('\n\n') + 1).trimStart();
  const after =
    message.text.slice(text.length) +
    content
      .slice(last + 1)
      .map((part) => textOf(part))
      .join('');
  const end = ids.length - (after === '' ? 0 : tokenizer.encode(after, { special: true }).length);
  const length = Math.min(MOST, tokenizer.encode(paragraph, { special: false }).length);
  return end - length < 0 || length === 0 ? undefined : [end - length, end];
}

function textOf(part: Content[number]): string {
  return typeof part === 'string' ? part : part instanceof MessageText ? part.text : '';
}
