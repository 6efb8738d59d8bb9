/** Gemma 3 with images against upstream: spans that are seen in both directions, within and without windows. */
import { describeVision } from '../support/vision-parity.ts';

await describeVision('gemma3');
