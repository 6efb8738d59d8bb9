/** The kernels that a pool can run, by number. */
import { Linear, embedTile, gatedTile, normTile, prepareTile, productTile } from './linear';
import { RopeAppend, ropeTile } from './rope';
import { Attention, attentionTile } from './attention';

export const KERNEL_PREPARE: u32 = 0;
export const KERNEL_PRODUCT: u32 = 1;
export const KERNEL_GATED: u32 = 2;
export const KERNEL_NORM: u32 = 3;
export const KERNEL_EMBED: u32 = 4;
export const KERNEL_ROPE: u32 = 5;
export const KERNEL_ATTENTION: u32 = 6;

/** One tile of kernel `kernel`. `scratch` is this thread's own. */
export function runTile(kernel: u32, args: usize, tile: u32, scratch: usize): void {
  switch (kernel) {
    case KERNEL_PREPARE: return prepareTile(changetype<Linear>(args), tile);
    case KERNEL_PRODUCT: return productTile(changetype<Linear>(args), tile, scratch);
    case KERNEL_GATED: return gatedTile(changetype<Linear>(args), tile, scratch);
    case KERNEL_NORM: return normTile(changetype<Linear>(args), tile);
    case KERNEL_EMBED: return embedTile(changetype<Linear>(args), tile);
    case KERNEL_ROPE: return ropeTile(changetype<RopeAppend>(args), tile, scratch);
    case KERNEL_ATTENTION: return attentionTile(changetype<Attention>(args), tile, scratch);
    default: unreachable();
  }
}
