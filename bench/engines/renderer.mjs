// A renderer process as the kernel sees it. Linux only: everything is read from /proc.
import { readFileSync, readdirSync } from 'node:fs';

const KIBI = 1024;

/** The renderers that this Node process (or a process that it started) started: other browsers of the machine are none of ours. */
export function renderers() {
  const parents = new Map();
  const found = [];
  for (const pid of readdirSync('/proc')
    .filter((d) => /^\d+$/.test(d))
    .map(Number)) {
    try {
      // The name, in parentheses, may hold anything.
      parents.set(pid, Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]));
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer')) found.push(pid);
    } catch {
      // a process that ended meanwhile
    }
  }
  const ours = (pid) => {
    for (let at = pid; at !== undefined && at > 1; at = parents.get(at)) if (at === process.pid) return true;
    return false;
  };
  return found.filter(ours);
}

/** Bytes by /proc's names: VmHWM (the peak of VmRSS so far), VmRSS = RssAnon + RssFile + RssShmem. */
export function status(pid) {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) * KIBI;
  return { peak: of('VmHWM'), resident: of('VmRSS'), anonymous: of('RssAnon'), file: of('RssFile') + of('RssShmem') };
}

/** Milliseconds for which the threads of a process had a processor. */
export function processorTime(pid) {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // a thread that ended meanwhile
    }
  }
  return nanoseconds / 1e6;
}

/** The renderer with the largest peak: the page's, beside those that Chromium keeps in reserve. */
export function largestRenderer() {
  let best;
  for (const pid of renderers()) {
    try {
      const figures = status(pid);
      if (best === undefined || figures.peak > best.peak) best = { pid, ...figures };
    } catch {
      // a process that ended meanwhile
    }
  }
  return best;
}

/** The largest anonymous mapping, which with a model loaded is WASM memory: what of it is accessible (`memory.buffer.byteLength`) and what is resident; and the process's proportional share. */
export function mappings(pid) {
  let wasm = { bytes: 0, resident: 0 };
  let share = 0;
  let current;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+\s*(.*)$/.exec(line);
    if (head !== null)
      current = {
        bytes: Number.parseInt(head[2], 16) - Number.parseInt(head[1], 16),
        data: head[3].startsWith('rw') && !head[4].startsWith('/'),
      };
    const field = /^(Rss|Pss):\s+(\d+)/.exec(line);
    if (field === null || current === undefined) continue;
    const bytes = Number(field[2]) * KIBI;
    if (field[1] === 'Pss') share += bytes;
    else if (current.data && bytes > wasm.resident) wasm = { bytes: current.bytes, resident: bytes };
  }
  return { wasm, share };
}
