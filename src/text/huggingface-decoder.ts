/** tokenizer.json's `decoder`: tokens to bytes, one by one, so that text can be streamed. */
import type { JsonObject, JsonValue } from '../load/model-file.ts';
import { byteLevelBytes } from './byte-level.ts';
import { failTokenizer } from './failure.ts';
import { bounded } from './growth.ts';
import { asFlag, asReplacement, asString, steps } from './json.ts';
import { SPACE_MARK } from './normalizers.ts';
import { replacer } from './replace.ts';
import { byteTokenValue } from './vocabulary.ts';

/** A token while it is decoded; `first` says that it is the first that prints. */
type Step = (token: string, first: boolean) => string;

interface CompiledDecoder {
  bytes(token: string, first: boolean): Uint8Array;
  readonly leadingSpaces: number;
}

const utf8 = new TextEncoder();

export function createDecoder(value: JsonValue | undefined): CompiledDecoder {
  const list = steps(value, 'decoders');
  const chain: Step[] = [];
  let byteLevel = false;
  let byteFallback = false;
  let fused = false;
  let leadingSpaces = 0;
  // Without a decoder tokens are joined by spaces.
  if (list.length === 0) chain.push((token, first) => (first ? token : ` ${token}`));
  for (const step of list) {
    const type = step['type'];
    switch (type) {
      case 'ByteLevel':
        byteLevel = true;
        break;
      case 'ByteFallback':
        byteFallback = true;
        break;
      case 'Fuse':
        fused = true;
        break;
      case 'Replace':
        chain.push(replacer(step['pattern'], asReplacement(step['content'], 'decoder.content')));
        break;
      case 'Metaspace':
        chain.push(metaspace(step));
        break;
      case 'WordPiece':
        chain.push(wordPiece(asString(step['prefix'] ?? '##', 'decoder.prefix'), asFlag(step['cleanup'], true)));
        break;
      case 'Strip': {
        const start = Number(step['start'] ?? 0);
        const stop = Number(step['stop'] ?? 0);
        const content = asString(step['content'] ?? ' ', 'decoder.content');
        if (!fused) chain.push((token) => stripped(token, content, start, stop));
        else if (content === ' ' && stop === 0 && start >= 0 && start <= 64) leadingSpaces = start;
        else
          failTokenizer(
            'tokenizer.json: a decoder that strips more than leading spaces of the whole text is not supported',
          );
        break;
      }
      default:
        failTokenizer(
          `tokenizer.json: the decoder ${JSON.stringify(type)} is not known; known are ByteLevel, ByteFallback, Fuse, Replace, Metaspace, WordPiece, Strip, Sequence`,
          { decoder: String(type) },
        );
    }
  }
  return {
    leadingSpaces,
    bytes: (token, first) => {
      const byte = byteFallback ? byteTokenValue(token) : -1;
      if (byte >= 0) return Uint8Array.of(byte);
      const text = chain.reduce((out, step) => bounded(token, step(out, first)), token);
      return (byteLevel ? byteLevelBytes(text) : undefined) ?? utf8.encode(text);
    },
  };
}

function metaspace(step: JsonObject): Step {
  const scheme = step['prepend_scheme'] ?? (asFlag(step['add_prefix_space'], true) ? 'always' : 'never');
  return (token, first) => token.replaceAll(SPACE_MARK, first && scheme !== 'never' ? '' : ' ');
}

function stripped(token: string, content: string, start: number, stop: number): string {
  let from = 0;
  let to = token.length;
  while (from < start && token[from] === content) from++;
  while (token.length - to < stop && to > from && token[to - 1] === content) to--;
  return token.slice(from, to);
}

function wordPiece(prefix: string, cleanup: boolean): Step {
  return (token, first) => {
    const text = first ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
    if (!cleanup) return text;
    return text
      .replaceAll(' .', '.')
      .replaceAll(' ?', '?')
      .replaceAll(' !', '!')
      .replaceAll(' ,', ',')
      .replaceAll(" ' ", "'")
      .replaceAll(" n't", "n't")
      .replaceAll(" 'm", "'m")
      .replaceAll(' do not', " don't")
      .replaceAll(" 's", "'s")
      .replaceAll(" 've", "'ve")
      .replaceAll(" 're", "'re");
  };
}
