/** The generator of nano's pictures holds out of training what it says: training/nano/test_collage.py, which needs Python and none of its packages. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const folder = fileURLToPath(new URL('../../training/nano/', import.meta.url));
const python = (...parts: string[]) => spawnSync('python3', parts, { cwd: folder, encoding: 'utf8' });
const found = python('--version').status === 0;
if (!found) console.warn('skipped: python3 is not installed');

(found ? test : test.skip)('collages: splits, questions and answers', () => {
  const { status, stderr } = python('-B', '-m', 'unittest', 'test_collage');
  expect(stderr).toMatch(/Ran \d\d tests/);
  expect(stderr).toContain('OK');
  expect(status).toBe(0);
});
