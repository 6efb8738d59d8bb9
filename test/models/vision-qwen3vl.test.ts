/** Qwen3-VL against upstream: a stretched table of positions, and rows added behind the decoder's first layers. */
import { describeVision } from '../support/vision-parity.ts';

await describeVision('qwen3vl');
