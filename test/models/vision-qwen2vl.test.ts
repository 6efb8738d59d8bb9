/** Qwen2-VL against upstream. */
import { describeVision } from '../support/vision-parity.ts';

await describeVision('qwen2vl');
