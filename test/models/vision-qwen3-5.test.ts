/** Qwen3.5 with images against upstream: the tower of Qwen3-VL without deepstack, before layers that carry a state. */
import { describeVision } from '../support/vision-parity.ts';

await describeVision('qwen3_5vl');
