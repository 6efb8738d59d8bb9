/**
 * Raised digits and letters: an exponent or the mark of a footnote is written with Unicode's own raised characters ("10²", "10⁻⁶", "2ⁿ", "mayor¹"), so that it is no part
 * of the number or word before it, and every character keeps its place; a letter without a raised form stands behind "^" ("x^q"). Where texts are compared, "10²" and
 * "10^2" are the same.
 */

const PLAIN = '0123456789+-−=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWβγδφχ';
const RAISED = '⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵝᵞᵟᵠᵡ';
/** Of a character class: raised digits alone. */
export const RAISED_DIGITS = '⁰¹²³⁴-⁹';
/** Of a character class: raised letters alone. */
export const RAISED_LETTERS = RAISED.slice(PLAIN.indexOf('a'));

/** Numbers, signs and single letters: words ("1st", "Mme", "TM") and marks in brackets ("[3]") stay as they are. */
const EXPONENT = /^(?:[\d+\-−=()\s⁰¹²³⁴-⁹⁺⁻⁼⁽⁾]|(?<!\p{L})[A-Za-z\p{sc=Greek}](?!\p{L}))+$/u;

/** The same text raised, unit by unit, or behind "^" where it has a letter that Unicode does not raise; undefined where it is no exponent and no mark. */
export function raised(text: string): string | undefined {
  if (!/[\d\p{L}]/u.test(text) || !EXPONENT.test(text)) return undefined;
  if (/^\s*$/.test(Array.from(text, (unit) => (`${PLAIN}${RAISED}`.includes(unit) ? '' : unit)).join('')))
    return raisedUnits(text);
  const own = text.trim();
  return own.length === 1 ? `^${own}` : `^(${own})`;
}

/** Unit by unit, where Unicode has raised forms: the number of a note. */
export function raisedUnits(text: string): string {
  let out = '';
  for (const unit of text) out += RAISED[PLAIN.indexOf(unit)] ?? unit;
  return out;
}

/** What a raised character is on the line; undefined for others. */
export function lowered(character: string): string | undefined {
  return PLAIN[RAISED.indexOf(character)];
}
