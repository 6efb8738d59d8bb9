/** The angles by which cached keys are rotated back, for methods that compare keys independently of their positions. */
import type { RopeSpec, SlotPositions } from '../backend/backend.ts';
import { axisOfPair, positionAt } from '../backend/positions.ts';

/**
 * Returns cosines and sines [rows, pairs] of slots `from ..`, divided by RoPE's magnitude, for `unrotate` of
 * assembly/select/dhsa.ts.
 */
export function writeAngles(
  cosines: Float32Array,
  sines: Float32Array,
  rope: RopeSpec,
  positions: SlotPositions | undefined,
  from: number,
): void {
  const { inverseFrequency, magnitude } = rope;
  const pairs = inverseFrequency.length;
  const rows = cosines.length / pairs;
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < pairs; i++) {
      const angle = positionAt(positions, from + row, axisOfPair(rope, i)) * (inverseFrequency[i] ?? 0);
      cosines[row * pairs + i] = Math.cos(angle) / magnitude;
      sines[row * pairs + i] = Math.sin(angle) / magnitude;
    }
  }
}
