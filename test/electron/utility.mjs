// What stands for a utility process: a process of its own that runs the engine's script with `process.parentPort`, as Electron's do.
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { setTimeout } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Relay } from './ports.mjs';

// A slow disk, for tests of what happens while something is written.
const slow = Number(process.env.OCTAVO_TEST_SLOW_WRITES ?? 0);
if (slow > 0) {
  const { rename } = fs.promises;
  fs.promises.rename = async (...names) => {
    await setTimeout(slow);
    return rename(...names);
  };
  syncBuiltinESMExports();
}

const parentPort = new EventEmitter();
const relay = new Relay(
  'c',
  (message) => process.send(message, () => {}),
  (event) => parentPort.emit('message', event),
);
parentPort.postMessage = (data) => relay.post(data);
process.parentPort = parentPort;
const early = [];
const keep = (message) => early.push(message);
process.on('message', keep);
await import(pathToFileURL(process.argv[2]).href);
process.off('message', keep);
process.on('message', (message) => relay.take(message));
for (const message of early) relay.take(message);
process.on('disconnect', () => process.exit());
