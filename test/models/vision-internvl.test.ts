/** InternVL against upstream. */
import { describeVision } from '../support/vision-parity.ts';

await describeVision('internvl');
