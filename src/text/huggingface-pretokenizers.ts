/** tokenizer.json's `pre_tokenizer` as stages that cut text, after a change to the text if the first step makes one. */
import type { JsonObject, JsonValue } from '../load/model-file.ts';
import { compileAutomaton } from './automaton.ts';
import { publishedDigitGroups } from './digit-groups.ts';
import type { SplitBehaviour, SplitStage } from './description.ts';
import { failTokenizer } from './failure.ts';
import { asFlag, asString, steps } from './json.ts';
import { SPACE_MARK } from './normalizers.ts';
import { escapePattern, parsePattern } from './pattern.ts';
import { GPT2_EXPRESSION } from './pretokenizers.ts';
import { patternSource } from './replace.ts';
import { PUNCTUATION, bertStages } from './vocabulary.ts';

export interface Pretokenizer {
  /** Applied to every text between added tokens; `first`: it begins the whole. */
  readonly prepare?: (text: string, first: boolean) => string;
  readonly stages: readonly SplitStage[];
  /** Pieces are bytes, written as GPT-2's characters in the vocabulary. */
  readonly byteLevel: boolean;
}

const BEHAVIOURS: Readonly<Record<string, SplitBehaviour>> = {
  Isolated: 'isolated',
  Removed: 'removed',
  MergedWithPrevious: 'merged-with-previous',
  MergedWithNext: 'merged-with-next',
  Contiguous: 'contiguous',
};

function cut(source: string, behaviour: SplitBehaviour, invert = false): SplitStage {
  return { kind: 'pattern', automaton: compileAutomaton(parsePattern(source)), behaviour, invert };
}

function behaviourOf(step: JsonObject, fallback: string): SplitBehaviour {
  const name = asString(step['behavior'] ?? fallback, 'pre_tokenizer.behavior');
  return (
    BEHAVIOURS[name] ??
    failTokenizer(
      `tokenizer.json: the split behavior ${JSON.stringify(name)} is not known; known are ${Object.keys(BEHAVIOURS).join(', ')}`,
      { behavior: name },
    )
  );
}

/** \w of Rust's regex crate, which this step uses in place of Oniguruma. */
const RUST_WORD = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}`;

type Change = (text: string, first: boolean) => string;

/** Metaspace: spaces become marks, and one is put before the text. */
function metaspace(step: JsonObject): { change: Change; split: boolean } {
  const mark = asString(step['replacement'] ?? SPACE_MARK, 'pre_tokenizer.replacement');
  if (mark !== SPACE_MARK) failTokenizer(`tokenizer.json: Metaspace with ${JSON.stringify(mark)} is not supported`);
  const scheme = step['prepend_scheme'] ?? (asFlag(step['add_prefix_space'], true) ? 'always' : 'never');
  const change: Change = (text, first) => {
    if (text === '') return '';
    const marked = text.replaceAll(' ', SPACE_MARK);
    const prepends = scheme === 'always' || (scheme === 'first' && first);
    return prepends && !marked.startsWith(SPACE_MARK) ? SPACE_MARK + marked : marked;
  };
  return { change, split: asFlag(step['split'], true) };
}

export function createPretokenizer(value: JsonValue | undefined): Pretokenizer {
  const list = steps(value, 'pretokenizers');
  const stages: SplitStage[] = [];
  let prepare: Change | undefined;
  let byteLevel = false;
  const change = (apply: Change): void => {
    if (stages.length > 0) stages.push({ kind: 'function', split: (piece, first) => [apply(piece, first)] });
    else {
      const before = prepare;
      prepare = before === undefined ? apply : (text, first) => apply(before(text, first), first);
    }
  };
  list.forEach((step, i) => {
    const type = step['type'];
    switch (type) {
      case 'ByteLevel':
        byteLevel = true;
        if (asFlag(step['add_prefix_space'], true))
          change((text) => (text.startsWith(' ') || text === '' ? text : ` ${text}`));
        if (asFlag(step['use_regex'], true)) stages.push(cut(GPT2_EXPRESSION, 'isolated'));
        break;
      case 'Split': {
        const source = patternSource(step['pattern']);
        const behaviour = behaviourOf(step, 'Isolated');
        const invert = asFlag(step['invert'], false);
        stages.push(
          (behaviour === 'isolated' ? publishedDigitGroups(source) : undefined) ?? cut(source, behaviour, invert),
        );
        break;
      }
      case 'Digits':
        stages.push(cut(String.raw`\p{N}`, asFlag(step['individual_digits'], false) ? 'isolated' : 'contiguous'));
        break;
      case 'Whitespace':
        stages.push(cut(`[${RUST_WORD}]+|[^${RUST_WORD}\\s]+`, 'removed', true));
        break;
      case 'WhitespaceSplit':
        if (stages.length === 0 && list[i + 1]?.['type'] === 'Metaspace' && isPlainMetaspace(list[i + 1])) {
          // Each word with its marker: the same result as marking all words at once.
          change((text) =>
            text
              .split(/\p{White_Space}+/u)
              .map((word) => (word === '' || word.startsWith(SPACE_MARK) ? word : SPACE_MARK + word))
              .join(''),
          );
        } else stages.push(cut(String.raw`\s+`, 'removed'));
        break;
      case 'BertPreTokenizer':
        stages.push(...bertStages());
        break;
      case 'Punctuation':
        stages.push(cut(PUNCTUATION, behaviourOf(step, 'Isolated')));
        break;
      case 'CharDelimiterSplit':
        stages.push(cut(escapePattern(asString(step['delimiter'], 'pre_tokenizer.delimiter')), 'removed'));
        break;
      case 'Metaspace': {
        const { change: apply, split } = metaspace(step);
        change(apply);
        if (split) stages.push(cut(SPACE_MARK, 'merged-with-next'));
        break;
      }
      default:
        failTokenizer(
          `tokenizer.json: the pre_tokenizer ${JSON.stringify(type)} is not known; known are ByteLevel, Split, Digits, Whitespace, WhitespaceSplit, BertPreTokenizer, Punctuation, CharDelimiterSplit, Metaspace, Sequence`,
          { pretokenizer: String(type) },
        );
    }
  });
  return { stages, byteLevel, ...(prepare === undefined ? {} : { prepare }) };
}

/** Always prepends and splits. */
function isPlainMetaspace(step: JsonObject | undefined): boolean {
  if (step === undefined) return false;
  const scheme = step['prepend_scheme'] ?? (asFlag(step['add_prefix_space'], true) ? 'always' : 'never');
  return scheme === 'always' && asFlag(step['split'], true);
}
