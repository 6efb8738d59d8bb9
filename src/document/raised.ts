/**
 * Raised digits: an exponent or the mark of a footnote is written with Unicode's own raised characters ("10²", "10⁻⁶", "mayor¹"), so that it is no part of the number or
 * word before it, and every character keeps its place. Where texts are compared, "10²" and "10^2" are the same.
 */

const PLAIN = '0123456789+-−=()';
const RAISED = '⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾';
/** Of a character class: raised digits alone. */
export const RAISED_DIGITS = '⁰¹²³⁴-⁹';

/** The same text raised, unit by unit; undefined where it holds something else than numbers and signs: letters ("1st") and words of marks ("[3]") stay as they are. */
export function raised(text: string): string | undefined {
  if (!/\d/.test(text)) return undefined;
  let out = '';
  for (const unit of text) {
    const at = PLAIN.indexOf(unit);
    if (at < 0 && !/\s/.test(unit) && !RAISED.includes(unit)) return undefined;
    out += RAISED[at] ?? unit;
  }
  return out;
}

/** What a raised character is on the line; undefined for others. */
export function lowered(character: string): string | undefined {
  return PLAIN[RAISED.indexOf(character)];
}
