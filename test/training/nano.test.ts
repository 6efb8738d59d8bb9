/** The generators of nano's data hold out of training what they say: training/nano/test_collage.py and test_documents.py, which need Python and none of its packages. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const folder = fileURLToPath(new URL('../../training/nano/', import.meta.url));
const python = (...parts: string[]) => spawnSync('python3', parts, { cwd: folder, encoding: 'utf8' });
const found = python('--version').status === 0;
if (!found) console.warn('skipped: python3 is not installed');

(found ? test : test.skip)('splits, questions and answers of pictures and documents', () => {
  const { status, stderr } = python('-B', '-m', 'unittest', 'test_collage', 'test_documents');
  expect(stderr).toMatch(/Ran \d\d tests/);
  expect(stderr).toContain('OK');
  expect(status).toBe(0);
});
