/** Pixtral, the tower of Mistral Small 3.1 and Ministral 3, against upstream. */
import { describeVision } from '../support/vision-parity.ts';

await describeVision('mistral3');
