/** tokenizer.json's `normalizer`, one step after the other. */
import type { JsonObject, JsonValue } from '../load/model-file.ts';
import { CharacterMap } from './charsmap.ts';
import { failTokenizer } from './failure.ts';
import { bounded } from './growth.ts';
import { asFlag, asReplacement, asString, steps } from './json.ts';
import { bertNormalizer, lowercase, nmtNormalizer } from './normalizers.ts';
import type { Normalizer } from './normalizers.ts';
import { replacer } from './replace.ts';

export function createNormalizer(value: JsonValue | undefined): Normalizer | undefined {
  const all = steps(value, 'normalizers').map(createStep);
  if (all.length === 0) return undefined;
  return (text, first, afterToken) => all.reduce((out, step) => bounded(text, step(out, first, afterToken)), text);
}

function createStep(step: JsonObject): Normalizer {
  const type = step['type'];
  switch (type) {
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return (text) => text.normalize(type);
    case 'Lowercase':
      return lowercase;
    case 'StripAccents':
      return (text) => text.replace(/\p{M}/gu, '');
    case 'Nmt':
      return nmtNormalizer;
    case 'Prepend': {
      const prefix = asReplacement(step['prepend'], 'normalizer.prepend');
      return (text) => (text === '' ? '' : prefix + text);
    }
    case 'Replace':
      return replacer(step['pattern'], asReplacement(step['content'], 'normalizer.content'));
    case 'Strip': {
      const left = asFlag(step['strip_left'], true);
      const right = asFlag(step['strip_right'], true);
      return (text) => strip(text, left, right);
    }
    case 'BertNormalizer': {
      const lower = asFlag(step['lowercase'], true);
      return bertNormalizer({
        cleanText: asFlag(step['clean_text'], true),
        chineseCharacters: asFlag(step['handle_chinese_chars'], true),
        stripAccents: asFlag(step['strip_accents'], lower),
        lowercase: lower,
      });
    }
    case 'Precompiled': {
      // Some files have none, and mean none.
      const encoded = step['precompiled_charsmap'];
      if (encoded === null || encoded === undefined || encoded === '') return (text) => text;
      const map = new CharacterMap(base64(asString(encoded, 'precompiled_charsmap')));
      return (text) => map.normalize(text, false);
    }
    default:
      return failTokenizer(
        `tokenizer.json: the normalizer ${JSON.stringify(type)} is not known; known are NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Nmt, Prepend, Replace, Strip, BertNormalizer, Precompiled, Sequence`,
        { normalizer: String(type) },
      );
  }
}

/** Without white space at the ends; linear, unlike /\s+$/. */
function strip(text: string, left: boolean, right: boolean): string {
  const space = /\p{White_Space}/u;
  let start = 0;
  let end = text.length;
  if (left) while (start < end && space.test(text[start] ?? '')) start++;
  if (right) while (end > start && space.test(text[end - 1] ?? '')) end--;
  return text.slice(start, end);
}

function base64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch (cause) {
    return failTokenizer('tokenizer.json: precompiled_charsmap is no base64', { cause: String(cause) });
  }
}
