/** Rectangles of sentences against what Chromium selects of them in pdf.js's text layer: columns, turned pages, shifted boxes, fonts with and without serifs, Hebrew. */
import { expect, test } from '@jest/globals';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openComparison } from '../../../eval/rectangles.mjs';
import { hasBrowser } from '../../../tools/browser.mjs';
import { column, pdf, type PdfPageSpec } from '../../support/pdf.ts';

const LEFT = [
  'The harbour master keeps a list of all ships',
  'that enter at night and of the lights they',
  'carry. Every captain signs it with his own',
  'hand before the ship is made fast. The copy',
  'of the list goes to the customs house and is',
  'kept there for seven years by the clerk.',
];
const RIGHT = [
  'In winter the harbour is closed when the ice',
  'reaches the outer mole. The keeper of the',
  'lighthouse then fires two shots, and ships',
  'turn back to the roadstead. They wait there',
  'until the channel has been opened again by',
  'the ice breaker from the naval yard.',
];
const HEBREW = 'והוא חותם בכל ערב על רשימת האניות שבנמל.';
const columns = [...column(60, 700, LEFT), ...column(320, 700, RIGHT)];

test('what is marked is what a browser selects', async () => {
  const built = existsSync(fileURLToPath(new URL('../../../dist/index.js', import.meta.url)));
  if (!built || !(await hasBrowser())) {
    console.warn('skipped: no browser could be started, or dist/ is not built');
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'octavo-rectangles-'));
  const pages: PdfPageSpec[] = [
    { texts: columns },
    { texts: columns, rotate: 90 },
    { texts: columns, rotate: 180 },
    { texts: columns.map((one) => ({ ...one, x: one.x + 30, y: one.y + 50 })), rotate: 270, origin: [30, 50] },
    { texts: [{ x: 300, y: 700, text: [...HEBREW].reverse().join(''), font: 'F4', size: 12 }] },
  ];
  writeFileSync(join(folder, 'pages.pdf'), pdf({ pages }));
  const comparison = await openComparison(folder);
  try {
    const { sentences, off, pages: seen } = await comparison.compare('pages.pdf', 10);
    expect([seen, off]).toEqual([5, 0]);
    // Four sentences on each of four pages, whose first and last lines, being alike, are headers and footers: these four lines once; and one.
    expect(sentences).toHaveLength(16 + 4 + 1);
    expect(sentences.reduce((sum, one) => sum + one, 0) / sentences.length).toBeGreaterThan(0.9);
    expect(Math.min(...sentences)).toBeGreaterThan(0.75);
  } finally {
    await comparison.close();
    rmSync(folder, { recursive: true });
  }
}, 120_000);
