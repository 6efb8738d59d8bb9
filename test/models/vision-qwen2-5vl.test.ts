/** Qwen2.5-VL against upstream: windows in the tower. */
import { describeVision } from '../support/vision-parity.ts';

await describeVision('qwen2_5vl');
