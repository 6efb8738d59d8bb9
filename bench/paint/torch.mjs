// PyTorch in a process of its own: OCTAVO_PYTHON names the interpreter (training/parity/requirements.txt says what it needs).
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PYTHON = process.env.OCTAVO_PYTHON ?? 'python3';
const SCRIPT = fileURLToPath(new URL('./torch_paint.py', import.meta.url));

/** Why PyTorch cannot be measured, as a sentence; undefined where it can. */
export function lackOfTorch() {
  const found = spawnSync(PYTHON, ['-c', 'import torch, transformers, numpy'], { encoding: 'utf8' });
  if (found.status === 0) return undefined;
  const why = found.error?.message ?? found.stderr.trim().split('\n').at(-1);
  return `PyTorch is not measured: ${PYTHON} cannot import torch, transformers and numpy (${why}). Set OCTAVO_PYTHON to an interpreter that can: see training/parity/requirements.txt`;
}

/** Resolves when the model is built: { parameters, versions, measure(job), peak, close() }. */
export async function openTorch(shape) {
  const child = spawn(PYTHON, [SCRIPT, shape], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await answers.next();
    if (done) throw new Error(`${PYTHON} ${SCRIPT} ended; what it said is above`);
    return JSON.parse(value);
  };
  const ready = await answer();
  return {
    ...ready,
    pid: child.pid,
    measure: (job) => {
      child.stdin.write(`${JSON.stringify(job)}\n`);
      return answer();
    },
    close: () => child.stdin.end(),
  };
}
