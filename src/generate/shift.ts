/**
 * Context shift: where a prompt is what the sequence holds without a stretch of it (the oldest exchanges of a
 * conversation), the tokens after the stretch are moved (kv/moves.ts) instead of being read again. They keep what they
 * learnt from the dropped ones, so the answer may differ from that of a second reading.
 */
import { commonPrefix, type Prompt, type Transcript } from '../chat/prompt.ts';
import { DeviceError } from '../errors.ts';
import { appendMoved } from '../kv/moves.ts';
import type { Sequence } from '../kv/sequence.ts';
import type { DeviceSequence } from './device-sequence.ts';

/** Fewer tokens are read again. */
const LEAST = 64;

/** What is moved: `count` tokens from `start`, behind the first `kept`. */
export interface Stretch {
  readonly kept: number;
  readonly start: number;
  readonly count: number;
}

/** Returns the longest stretch of `ids` with which `prompt` continues behind the first `kept` ids, at least LEAST long. */
export function findStretch(ids: Int32Array, prompt: Int32Array, kept: number): Stretch | undefined {
  let best: Stretch | undefined;
  const most = prompt.length - 1 - kept;
  for (let start = kept + 1; start + LEAST <= ids.length && (best?.count ?? 0) < most; start++) {
    let count = 0;
    while (count < most && start + count < ids.length && ids[start + count] === prompt[kept + count]) count++;
    if (count >= LEAST && count > (best?.count ?? 0)) best = { kept, start, count };
  }
  return best;
}

/**
 * Returns a sequence that holds more of the prompt, which the caller frees, and from where on its tokens were moved;
 * undefined where reading is as good.
 */
export function shifted(
  { model, sequence, planner, kvBits = 16 }: DeviceSequence,
  transcript: Transcript,
  prompt: Prompt,
): { readonly sequence: Sequence; readonly from: number } | undefined {
  const plain = [transcript, prompt].every(({ spans }) => spans.length === 0);
  if (!plain || planner !== undefined || sequence.state !== undefined || sequence.positions !== undefined)
    return undefined;
  const held = transcript.ids.subarray(0, sequence.length);
  const stretch = findStretch(held, prompt.ids, Math.min(held.length, commonPrefix(prompt, transcript)));
  if (stretch === undefined) return undefined;
  const { kept, start, count } = stretch;
  const copy = sequence.fork();
  try {
    // Where tokens are closed together, the copy ends before the kept ones do.
    const left = copy.truncate(kept);
    appendMoved(model, { from: sequence, start: left, count: kept - left }, copy, kvBits);
    appendMoved(model, { from: sequence, start, count }, copy, kvBits);
    return { sequence: copy, from: kept };
  } catch (error) {
    copy.free();
    if (error instanceof DeviceError && error.code === 'out-of-memory') return undefined;
    throw error;
  }
}
