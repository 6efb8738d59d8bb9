/** Every relative link of the pages leads to a file and a heading that are there, and every file of results that they name is kept. */
import { expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pages } from './samples.ts';

/** As GitHub makes them of headings. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');

const faultsOf = (file: string): readonly string[] => {
  const text = readFileSync(file, 'utf8');
  const links = Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, target]) => target!).filter(
    (target) => !/^[a-z]+:/.test(target),
  );
  const broken = links.filter((target) => {
    const [path = '', anchor] = target.split('#');
    const at = path === '' ? file : join(dirname(file), path);
    if (!existsSync(at)) return true;
    const headings = Array.from(readFileSync(at, 'utf8').matchAll(/^#+ (.*)$/gm), ([, heading]) => anchorOf(heading!));
    return anchor !== undefined && !headings.includes(anchor);
  });
  // A name in capitals stands for any.
  const results = Array.from(text.matchAll(/\bresults\/[\w./-]+\.(?:json|svg|txt)\b/g), ([path]) => path);
  const missing = results.filter((path) => !/[A-Z]{4}/.test(path) && !existsSync(path));
  return [...broken, ...missing];
};

test.each(pages())('%s', (file) => {
  expect(faultsOf(file)).toEqual([]);
});
