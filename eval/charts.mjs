// Charts and tables in docs/ from the results that the evaluations recorded: results/context/context.json (needles, where they were measured on a
// grid of their own, in needles.json beside it) and results/visual/visual.json.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { equalIds } from './ask.mjs';
import { joined as contextOutcomes } from './context.mjs';
import { METHODS } from './methods.mjs';
import { difference, share } from './statistics.mjs';
import { curves, heatMaps, intervals, reliability } from './svg.mjs';
import { ALL, BLIND, joined as visualOutcomes, SELECTIONS } from './visual.mjs';

const percent = (x, digits = 1) => `${(100 * x).toFixed(digits)} %`;
const right = (outcomes) => [...outcomes].filter((digit) => digit === '1').length;
const shareOf = (outcomes) => share(right(outcomes), outcomes.length);
const withInterval = ({ share: part, low, high }) =>
  `${(100 * part).toFixed(1)} [${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;
const signed = (x) => `${x > 0 ? '+' : ''}${(100 * x).toFixed(1)}`;
const row = (cells) => `| ${cells.join(' | ')} |`;
const mega = (bytes) => (bytes / 1e6).toFixed(2);

function heading({ model, fingerprint, device, machine, date }) {
  return `Model ${model} (${fingerprint.slice(0, 12)}), ${device}; ${machine}; ${date}.`;
}

/** { file: text }, of the record of `npm run eval -- context`. */
export function drawContext(record) {
  const { documents = {}, needles = {} } = record.parts;
  const files = {};
  const tables = [
    `# Long context, measured\n\nWritten by \`npm run eval -- charts\`. ${heading(record)} Greedy, exact answers. Shares in percent with 95 % intervals (Wilson); differences over the same items (Agresti & Min).`,
  ];
  const { dense } = documents;
  if (dense !== undefined) {
    const rows = Object.keys(dense);
    tables.push(
      `\n## Held-out documents: ${rows.join(', ')}; n = ${contextOutcomes(dense).length}\n`,
      row([
        'method',
        ...rows,
        'all',
        'against dense, points',
        'equal answers',
        'equal ids',
        'KV MB of the first item of each row',
      ]),
      row(['---', ...Array.from({ length: rows.length + 5 }, () => '---:')]),
    );
    const against = [];
    for (const [key, recorded] of Object.entries(documents)) {
      const all = contextOutcomes(recorded);
      const d = difference(all, contextOutcomes(dense));
      const ids = rows.map((name) => equalIds(recorded[name], dense[name]));
      const part = (a, b) => percent(ids.reduce((t, x) => t + x[a], 0) / ids.reduce((t, x) => t + x[b], 0));
      tables.push(
        row([
          METHODS[key].title,
          ...rows.map((name) => withInterval(shareOf(recorded[name].outcomes))),
          withInterval(shareOf(all)),
          key === 'dense' ? '' : `${signed(d.difference)} [${signed(d.low)}, ${signed(d.high)}]`,
          part('answers', 'of'),
          part('ids', 'ofIds'),
          rows.map((name) => mega(recorded[name].bytes)).join(', '),
        ]),
      );
      if (key !== 'dense')
        against.push({ label: METHODS[key].title, value: 100 * d.difference, low: 100 * d.low, high: 100 * d.high });
    }
    tables.push('', 'nano’s open pages are f32. For speed see `bench/README.md`.');
    files['accuracy.svg'] = intervals({
      title: 'Held-out documents: accuracy against dense',
      note: `nano; n = ${contextOutcomes(dense).length} questions, the same for all; 95 % intervals`,
      axis: 'percentage points',
      rows: against,
    });
  }
  const { lengths, depths, each } = record.grid;
  const panels = Object.entries(needles).map(([key, cells]) => ({
    title: METHODS[key].title,
    values: depths.map((depth) => lengths.map((length) => shareOf(cells[`${length} ${depth}`]).share)),
  }));
  if (panels.length > 0) {
    files['needles.svg'] = heatMaps({
      title: 'A needle in a haystack',
      note: `nano; exact answers in percent of ${each} needles a cell`,
      columnTitle: 'tokens',
      rowTitle: 'depth',
      columns: lengths,
      rows: depths.map((depth) => percent(depth, 0)),
      panels,
    });
    tables.push(
      `\n## Needles: ${lengths.join(', ')} tokens, depths ${depths.join(', ')}, ${each} a cell\n`,
      row(['method', 'all cells', 'against dense, points', ...lengths.map((length) => `${length}`)]),
      row(['---', ...Array.from({ length: lengths.length + 2 }, () => '---:')]),
    );
    for (const [key, cells] of Object.entries(needles)) {
      const all = contextOutcomes(cells);
      const d = needles.dense === undefined ? undefined : difference(all, contextOutcomes(needles.dense));
      const at = (length) => depths.map((depth) => cells[`${length} ${depth}`]).join('');
      tables.push(
        row([
          METHODS[key].title,
          withInterval(shareOf(all)),
          d === undefined || key === 'dense' ? '' : `${signed(d.difference)} [${signed(d.low)}, ${signed(d.high)}]`,
          ...lengths.map((length) => percent(shareOf(at(length)).share)),
        ]),
      );
    }
  }
  files['figures.md'] = `${tables.join('\n')}\n`;
  return files;
}

/** { file: text }, of the record of `npm run eval -- visual`. */
export function drawVisual(record) {
  const found = record.parts.seeing;
  const base = found[ALL];
  const kinds = Object.keys(base.kinds);
  const n = visualOutcomes(base).length;
  const sum = (recorded, field) => Object.values(recorded.kinds).reduce((total, kind) => total + kind[field], 0);
  const dense = shareOf(visualOutcomes(base));
  const tables = [
    `# Visual tokens, measured\n\nWritten by \`npm run eval -- charts\`. ${heading(record)} Held-out pictures of ${record.tokens.free} tokens that may go, of which the shares are, and ${record.tokens.fixed} buffers that never do; greedy, exact answers, n = ${n}: ${kinds.join(', ')}. Shares in percent with 95 % intervals (Wilson); differences over the same items (Agresti & Min). KV: of the first item; times: mean of one item, first token with the picture's encoder.\n`,
    row([
      'method',
      'kept',
      'accuracy',
      'of all tokens’',
      'against all, points',
      'against random, points',
      'context tokens',
      'KV kB',
      'first token ms',
      'whole answer ms',
      ...kinds,
    ]),
    row(['---', ...Array.from({ length: kinds.length + 9 }, () => '---:')]),
  ];
  const shares = new Map();
  for (const [key, recorded] of Object.entries(found)) {
    const at = key.lastIndexOf(' ');
    const whole = key === ALL || key === BLIND;
    const [name, keep] = whole ? [key, key === ALL ? '1' : '0'] : [key.slice(0, at), key.slice(at + 1)];
    const all = visualOutcomes(recorded);
    const accuracy = shareOf(all);
    const against = (other) => {
      const d = difference(all, visualOutcomes(other));
      return `${signed(d.difference)} [${signed(d.low)}, ${signed(d.high)}]`;
    };
    const chance = whole || name === 'random' ? undefined : found[`random ${keep}`];
    const milliseconds = (field) => (sum(recorded, field) / n).toFixed(1);
    tables.push(
      row([
        key === ALL ? 'all tokens' : key === BLIND ? 'no picture' : SELECTIONS[name].title,
        percent(Number(keep), 0),
        withInterval(accuracy),
        dense.share === 0 ? '' : percent(accuracy.share / dense.share),
        key === ALL ? '' : against(base),
        chance === undefined ? '' : against(chance),
        (sum(recorded, 'kept') / n).toFixed(1),
        (recorded.bytes / 1e3).toFixed(0),
        milliseconds('prefill'),
        ((sum(recorded, 'prefill') + sum(recorded, 'decode')) / n).toFixed(1),
        ...kinds.map((kind) => percent(shareOf(recorded.kinds[kind].outcomes).share)),
      ]),
    );
    if (whole) continue;
    const points = shares.get(name) ?? [];
    shares.set(name, [
      ...points,
      { keep: Number(keep), x: percent(Number(keep), 0), y: accuracy.share, low: accuracy.low, high: accuracy.high },
    ]);
  }
  const places = [...new Set([...shares.values()].flat().map(({ keep }) => keep))]
    .toSorted((a, b) => b - a)
    .map((keep) => percent(keep, 0));
  const series = [...shares].map(([name, points]) => ({ name: SELECTIONS[name].title, points }));
  return {
    'figures.md': `${tables.join('\n')}\n`,
    ...(series.length > 0 && {
      'accuracy.svg': curves({
        title: 'Accuracy against the kept share of visual tokens',
        note: `nano, held-out pictures of ${record.tokens.free} tokens (and ${record.tokens.fixed} buffers, always kept); n = ${n} questions, the same for all; 95 % intervals`,
        xTitle: 'visual tokens kept',
        yTitle: 'exact answers',
        places,
        series,
        bases: [
          { y: dense.share, name: 'all tokens' },
          ...(found[BLIND] === undefined
            ? []
            : [{ y: shareOf(visualOutcomes(found[BLIND])).share, name: 'no picture' }]),
        ],
      }),
    }),
  };
}

/** { file: text }, of the record of `npm run eval -- documents`. */
export function drawDocuments({ machine, date, parts: { evidence = {} } }) {
  const entries = Object.entries(evidence);
  if (entries.length === 0) return {};
  return {
    'reliability.svg': reliability({
      title: 'How often the text does not say it, against what absent.probability says',
      note: `held-out articles of XQuAD, half of the questions without an answer; by tenths, 95 % intervals; ${machine}; ${date}`,
      xTitle: 'absent.probability, mean of a tenth',
      yTitle: 'questions without an answer',
      series: entries.map(([name, { reliability: bins }]) => ({
        name,
        points: bins
          .filter(({ n }) => n >= 20)
          .map(({ said, absent }) => ({ x: said, y: absent.share, low: absent.low, high: absent.high })),
      })),
    }),
  };
}

const read = (path) => JSON.parse(readFileSync(path, 'utf8'));

function withNeedles(source, path) {
  const record = read(source);
  const { grid, parts } = read(path);
  return { ...record, grid, parts: { ...record.parts, needles: parts.needles } };
}

/** Draws what was recorded; the paths written. */
export function drawAll(results = fileURLToPath(new URL('../results/', import.meta.url))) {
  const written = [];
  for (const [folder, draw] of Object.entries({ context: drawContext, visual: drawVisual, documents: drawDocuments })) {
    const source = `${results}${folder}/${folder === 'documents' ? 'evidence' : folder}.json`;
    if (!existsSync(source)) continue;
    const needles = `${results}${folder}/needles.json`;
    for (const [name, content] of Object.entries(
      draw(existsSync(needles) ? withNeedles(source, needles) : read(source)),
    )) {
      writeFileSync(`${results}${folder}/${name}`, content);
      written.push(`${results}${folder}/${name}`);
    }
  }
  return written;
}
