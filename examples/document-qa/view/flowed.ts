/** Plain text whose lines were filled to a width: broken anew in a narrower pane, each line would leave a short one behind it. */

/** Characters that such lines have: shorter ones may be verse or addresses, longer ones no program makes. */
const WIDTH = { least: 60, most: 110 };

/** A paragraph of the same length, with a space for each break before a word that had no room in its line. Breaks before words that had room were meant, and stay. */
export function flowed(paragraph: string): string {
  const lines = paragraph.split('\n');
  const width = Math.max(...lines.map((line) => line.length));
  if (width < WIDTH.least || width > WIDTH.most) return paragraph;
  return lines
    .map((line, i) => {
      const next = lines[i + 1];
      if (next === undefined) return line;
      const [word = ''] = next.split(' ', 1);
      return word !== '' && line.length + 1 + word.length > width ? `${line} ` : `${line}\n`;
    })
    .join('');
}
