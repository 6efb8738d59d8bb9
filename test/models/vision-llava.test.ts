/** LLaVA 1.5 against upstream. */
import { describeVision } from '../support/vision-parity.ts';

await describeVision('llava');
