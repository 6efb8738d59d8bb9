// Three charts as SVG text, without a library: heat maps side by side, intervals on a line, curves with intervals.
const FONT = 'font-family="system-ui, sans-serif" font-size="12"';
const INK = '#1a202c';
const FAINT = '#cbd5e0';
/** Told apart by eyes that see few colours (Okabe & Ito), and by their markers. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#718096'];

const escape = (text) =>
  String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const at = (number) => String(Math.round(number * 10) / 10);
const text = (x, y, content, more = '') => `<text x="${at(x)}" y="${at(y)}"${more}>${escape(content)}</text>`;
const line = (x1, y1, x2, y2, colour = FAINT, width = 1) =>
  `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" stroke="${colour}" stroke-width="${width}"/>`;
const rect = (x, y, w, h, fill) =>
  `<rect x="${at(x)}" y="${at(y)}" width="${at(w)}" height="${at(h)}" fill="${fill}"/>`;
const MIDDLE = ' text-anchor="middle"';
const END = ' text-anchor="end"';

function sheet(width, height, title, note, parts) {
  const head = text(16, 26, title, ' font-size="16" font-weight="600"') + text(16, 46, note, ' fill="#4a5568"');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.ceil(width)}" height="${Math.ceil(height)}" viewBox="0 0 ${Math.ceil(width)} ${Math.ceil(height)}" role="img" aria-label="${escape(title)}" ${FONT} fill="${INK}">${rect(0, 0, width, height, '#ffffff')}${head}${parts.join('')}</svg>\n`;
}

/** Share 0 to 1: red brown over sand to green blue, with numbers in every cell for those who see no colours. */
function shade(share) {
  const stops = [
    [178, 88, 52],
    [244, 232, 208],
    [42, 122, 120],
  ];
  const place = Math.min(1, Math.max(0, share)) * 2;
  const [from, to] = place <= 1 ? [stops[0], stops[1]] : [stops[1], stops[2]];
  const part = place <= 1 ? place : place - 1;
  return `rgb(${from.map((channel, i) => Math.round(channel + (to[i] - channel) * part)).join(',')})`;
}

/** `panels`: { title, values[row][column] }, shares; `columns` and `rows` are labels, the same in all. */
export function heatMaps({ title, note, columnTitle, rowTitle, columns, rows, panels }) {
  const cell = { width: 40, height: 26 };
  const left = 62;
  const top = 44;
  const panel = { width: left + columns.length * cell.width + 24, height: top + rows.length * cell.height + 44 };
  const across = Math.max(1, Math.min(4, panels.length));
  const parts = panels.map(({ title: name, values }, index) => {
    const x = 8 + (index % across) * panel.width;
    const y = 60 + Math.floor(index / across) * panel.height;
    const cells = values.flatMap((line, r) =>
      line.map((value, c) => {
        const [cx, cy] = [x + left + c * cell.width, y + top + r * cell.height];
        const ink = value < 0.2 || value > 0.85 ? '#ffffff' : INK;
        return (
          rect(cx, cy, cell.width - 1, cell.height - 1, shade(value)) +
          text(cx + cell.width / 2, cy + 17, Math.round(100 * value), `${MIDDLE} fill="${ink}"`)
        );
      }),
    );
    return [
      text(x + left, y + 18, name, ' font-weight="600"'),
      ...columns.map((label, c) =>
        text(x + left + (c + 0.5) * cell.width, y + top - 8, label, `${MIDDLE} fill="#4a5568"`),
      ),
      ...rows.map((label, r) => text(x + left - 6, y + top + r * cell.height + 17, label, `${END} fill="#4a5568"`)),
      ...cells,
      text(
        x + left,
        y + top + rows.length * cell.height + 16,
        `across: ${columnTitle}; down: ${rowTitle}`,
        ' font-size="10" fill="#718096"',
      ),
    ].join('');
  });
  return sheet(16 + across * panel.width, 60 + Math.ceil(panels.length / across) * panel.height, title, note, parts);
}

/** A round step of which some eight make `span`. */
function tick(span) {
  const raw = span / 8;
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= raw) ?? raw;
}

/**
 * `rows`: { label, value, low, high } in the unit of `axis`; a line at 0, another at `goal`.
 * @param {{ title: string; note: string; axis: string; goal?: number; rows: readonly { label: string; value: number; low: number; high: number }[] }} chart
 */
export function intervals({ title, note, axis, rows, goal }) {
  const left = 340;
  const width = 460;
  const height = 24;
  const top = 66;
  const lowest = Math.min(0, goal ?? 0, ...rows.map(({ low }) => low));
  const highest = Math.max(0, ...rows.map(({ high }) => high));
  const step = tick(highest - lowest || 1);
  const from = Math.floor(lowest / step) * step;
  const to = Math.ceil(highest / step) * step || step;
  const x = (value) => left + ((value - from) / (to - from)) * width;
  const bottom = top + rows.length * height;
  const ticks = Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => from + i * step);
  const parts = [
    ...ticks.map(
      (value) =>
        line(x(value), top, x(value), bottom) + text(x(value), bottom + 18, Math.round(value * 100) / 100, MIDDLE),
    ),
    line(x(0), top, x(0), bottom, INK),
    ...(goal === undefined
      ? []
      : [
          line(x(goal), top, x(goal), bottom, COLOURS[1]),
          text(x(goal), top - 4, 'goal', `${MIDDLE} fill="${COLOURS[1]}"`),
        ]),
    ...rows.map(({ label, value, low, high }, i) => {
      const y = top + (i + 0.5) * height;
      return (
        text(left - 10, y + 4, label, END) +
        line(x(low), y, x(high), y, COLOURS[0], 2) +
        `<circle cx="${at(x(value))}" cy="${at(y)}" r="4" fill="${COLOURS[0]}"/>`
      );
    }),
    text(left + width / 2, bottom + 38, axis, MIDDLE),
  ];
  return sheet(left + width + 40, bottom + 56, title, note, parts);
}

const MARKS = [
  (x, y) => `<circle cx="${at(x)}" cy="${at(y)}" r="4"/>`,
  (x, y) => rect(x - 3.5, y - 3.5, 7, 7, 'currentColor').replace(' fill="currentColor"', ''),
  (x, y) => `<path d="M${at(x)} ${at(y - 5)}l5 9h-10z"/>`,
  (x, y) => `<path d="M${at(x)} ${at(y + 5)}l5 -9h-10z"/>`,
  (x, y) => `<path d="M${at(x)} ${at(y - 5)}l5 5l-5 5l-5 -5z"/>`,
];

/**
 * `series`: { name, points: [{ x, y, low, high }] }; x are names of places at equal distances, in the order of `places`.
 * @param {{ title: string; note: string; xTitle: string; yTitle: string; places: readonly string[]; series: readonly { name: string; points: readonly { x: string; y: number; low?: number; high?: number }[] }[]; bases?: readonly { y: number; name: string }[] }} chart
 */
export function curves({ title, note, xTitle, yTitle, places, series, bases = [] }) {
  const [left, top, width, height] = [70, 70, 460, 300];
  const values = series.flatMap(({ points }) => points.flatMap(({ y, low = y, high = y }) => [y, low, high]));
  values.push(...bases.map((base) => base.y));
  const [lowest, highest] = [Math.min(...values), Math.max(...values)];
  const step = tick(highest - lowest || 1);
  const from = Math.floor(lowest / step) * step;
  const to = Math.max(from + step, Math.ceil(highest / step) * step);
  const y = (value) => top + height - ((value - from) / (to - from)) * height;
  const x = (place, shift) => left + ((places.indexOf(place) + 0.5) / places.length) * width + shift;
  const ticks = Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => from + i * step);
  const parts = [
    ...ticks.map(
      (value) =>
        line(left, y(value), left + width, y(value)) +
        text(left - 8, y(value) + 4, Math.round(value * 1000) / 1000, END),
    ),
    ...places.map((place) => text(x(place, 0), top + height + 18, place, MIDDLE)),
    text(left + width / 2, top + height + 40, xTitle, MIDDLE),
    text(0, 0, yTitle, `${MIDDLE} transform="translate(18 ${at(top + height / 2)}) rotate(-90)"`),
    ...bases.map((base, i) => {
      const key = { x: left + width + 20, y: top + 12 + (series.length + i) * 22 };
      const dash = ` stroke-dasharray="${6 - 4 * (i % 2)} 3"`;
      return (
        [line(left, y(base.y), left + width, y(base.y), INK), line(key.x, key.y - 4, key.x + 12, key.y - 4, INK)]
          .map((drawn) => drawn.replace('/>', `${dash}/>`))
          .join('') + text(key.x + 16, key.y, base.name)
      );
    }),
    ...series.map(({ name, points }, i) => {
      const colour = COLOURS[i % COLOURS.length];
      const shift = (i - (series.length - 1) / 2) * 7;
      const path = points.map((p, k) => `${k === 0 ? 'M' : 'L'}${at(x(p.x, shift))} ${at(y(p.y))}`).join('');
      const marks = points.map(
        (p) =>
          (p.low === undefined ? '' : line(x(p.x, shift), y(p.low), x(p.x, shift), y(p.high), colour)) +
          MARKS[i % MARKS.length](x(p.x, shift), y(p.y)),
      );
      const key = { x: left + width + 24, y: top + 12 + i * 22 };
      return `<g fill="${colour}"><path d="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>${marks.join('')}${MARKS[i % MARKS.length](key.x, key.y - 4)}</g>${text(key.x + 12, key.y, name)}`;
    }),
  ];
  return sheet(left + width + 220, top + height + 60, title, note, parts);
}

/**
 * Probabilities that were said against shares that came true, both from 0 to 1; on the diagonal they are the same.
 * @param {{ title: string; note: string; xTitle: string; yTitle: string; series: readonly { name: string; points: readonly { x: number; y: number; low: number; high: number }[] }[] }} chart
 */
export function reliability({ title, note, xTitle, yTitle, series }) {
  const [left, top, side] = [70, 70, 380];
  const x = (value) => left + value * side;
  const y = (value) => top + side - value * side;
  const tenths = [0, 0.2, 0.4, 0.6, 0.8, 1];
  const parts = [
    ...tenths.flatMap((value) => [
      line(left, y(value), left + side, y(value)),
      text(left - 8, y(value) + 4, value, END),
      text(x(value), top + side + 18, value, MIDDLE),
    ]),
    line(x(0), y(0), x(1), y(1), INK).replace('/>', ' stroke-dasharray="6 3"/>'),
    text(left + side / 2, top + side + 40, xTitle, MIDDLE),
    text(0, 0, yTitle, `${MIDDLE} transform="translate(18 ${at(top + side / 2)}) rotate(-90)"`),
    ...series.map(({ name, points }, i) => {
      const colour = COLOURS[i % COLOURS.length];
      const path = points.map((p, k) => `${k === 0 ? 'M' : 'L'}${at(x(p.x))} ${at(y(p.y))}`).join('');
      const marks = points.map(
        (p) => line(x(p.x), y(p.low), x(p.x), y(p.high), colour) + MARKS[i % MARKS.length](x(p.x), y(p.y)),
      );
      const key = { x: left + side + 24, y: top + 12 + i * 22 };
      return `<g fill="${colour}"><path d="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>${marks.join('')}${MARKS[i % MARKS.length](key.x, key.y - 4)}</g>${text(key.x + 12, key.y, name)}`;
    }),
  ];
  return sheet(left + side + 240, top + side + 60, title, note, parts);
}
