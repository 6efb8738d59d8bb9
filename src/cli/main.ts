#!/usr/bin/env node
/** The `octavo` command. */
import { readFileSync } from 'node:fs';
import { createFace } from '../face/octavo.ts';
import { createNodePlatform } from '../platform/node-engine.ts';
import { createNodeFace } from '../platform/node.ts';
import { run } from './run.ts';

// When the reader has closed the pipe (`octavo … | head`), nothing more is written.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
}
const place = createNodeFace();
const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
const code = await run(process.argv.slice(2), {
  input: process.stdin,
  output: process.stdout,
  errors: process.stderr,
  face: createFace(place),
  place,
  platform: createNodePlatform(),
  version: manifest.version,
});
// Everything was written when `run` returned. A worker that does not end must not block the shell.
process.exit(code);
