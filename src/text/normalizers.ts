/** Normalisation of text before pretokenisation: the normalizers of tokenizer.json, and those of BERT and SentencePiece. */

/** `first`: the text begins the whole text; `afterToken`: an added token, or nothing, precedes it. */
export type Normalizer = (text: string, first: boolean, afterToken: boolean) => string;

/** U+2581, which stands for a space in SentencePiece's vocabularies. */
export const SPACE_MARK = '▁';

/** Lower case character by character, as Rust does: a final sigma is no exception. */
export function lowercase(text: string): string {
  return text.replaceAll('Σ', 'σ').toLowerCase();
}

const CJK =
  /[\u{4e00}-\u{9fff}\u{3400}-\u{4dbf}\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{f900}-\u{faff}\u{2f800}-\u{2fa1f}]/gu;

interface BertOptions {
  readonly cleanText: boolean;
  readonly chineseCharacters: boolean;
  readonly stripAccents: boolean;
  readonly lowercase: boolean;
}

/** BERT's: controls removed and white space made plain, ideographs set apart, accents removed, lower case. */
export function bertNormalizer(options: BertOptions): Normalizer {
  return (text) => {
    let out = text;
    if (options.cleanText)
      out = out.replace(/[^\P{Cc}\t\n\r]|[\0\p{Cf}\p{Co}\ufffd]/gu, '').replace(/\p{White_Space}/gu, ' ');
    if (options.chineseCharacters) out = out.replace(CJK, ' $& ');
    if (options.stripAccents) out = out.normalize('NFD').replace(/\p{Mn}/gu, '');
    return options.lowercase ? lowercase(out) : out;
  };
}

/**
 * SentencePiece's clean-up for machine translation: removes control characters, and replaces unusual white space by a
 * space.
 */
export function nmtNormalizer(text: string): string {
  return text
    .replace(/[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]/g, '')
    .replace(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g, ' ');
}

/**
 * SentencePiece's white space: if requested, runs become one space and those at the ends are removed; one may be
 * inserted before the text.
 */
export function sentencePieceSpaces(
  text: string,
  options: { removeExtra: boolean; prefix: boolean; suffix: boolean },
): string {
  let out = options.removeExtra ? text.replace(/ +/g, ' ').replace(/^ | $/g, '') : text;
  if (options.removeExtra && out === '') return options.suffix ? SPACE_MARK : '';
  if (options.prefix && out !== '') out = ` ${out}`;
  if (options.suffix) out += ' ';
  return out.replaceAll(' ', SPACE_MARK);
}
