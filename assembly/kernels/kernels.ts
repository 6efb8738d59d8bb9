/** The kernels that the threads of a pool can run, by number. */
import { Linear, embedTile, gatedTile, normTile, prepareTile, productTile } from './linear';
import { RopeAppend, ropeTile } from './rope';
import { Attention, attentionTile } from './attention';
import { Rowwise, Denoise, addTile, denoiseTile, gatedAddTile, modulateTile, takeTile } from './rowwise';
import { GroupNorm, Moments, groupNormTile, momentsTile } from './group-norm';
import { Conv, convPrepareTile, convTile } from './conv';
import { Probe, probeJoinTile, probeMassTile, probeSpansTile, probeSumTile } from './probe';
import { coarseCodeTile, coarseSpreadTile } from './probe-one';
import { Cached, RowMeans, cachedTile, rowMeansTile, spanMeansTile } from './cached';
import { Delta, ShortConv, deltaGatesTile, deltaNormTile, deltaTile, shortConvTile } from './recurrent';
import { Convert, convertTile } from '../kv/quantise';

export const KERNEL_PREPARE: u32 = 0;
export const KERNEL_PRODUCT: u32 = 1;
export const KERNEL_GATED: u32 = 2;
export const KERNEL_NORM: u32 = 3;
export const KERNEL_EMBED: u32 = 4;
export const KERNEL_ROPE: u32 = 5;
export const KERNEL_ATTENTION: u32 = 6;
export const KERNEL_TAKE: u32 = 7;
export const KERNEL_ADD: u32 = 8;
export const KERNEL_MODULATE: u32 = 9;
export const KERNEL_GATED_ADD: u32 = 10;
export const KERNEL_DENOISE: u32 = 11;
export const KERNEL_MOMENTS: u32 = 12;
export const KERNEL_GROUP_NORM: u32 = 13;
export const KERNEL_CONV_PREPARE: u32 = 14;
export const KERNEL_CONV: u32 = 15;
export const KERNEL_CONVERT: u32 = 16;
export const KERNEL_PROBE_SUM: u32 = 17;
export const KERNEL_PROBE_JOIN: u32 = 18;
export const KERNEL_PROBE_MASS: u32 = 19;
export const KERNEL_PROBE_SPANS: u32 = 20;
export const KERNEL_CACHED: u32 = 21;
export const KERNEL_SPAN_MEANS: u32 = 22;
export const KERNEL_ROW_MEANS: u32 = 23;
export const KERNEL_SHORT_CONV: u32 = 24;
export const KERNEL_DELTA_GATES: u32 = 25;
export const KERNEL_DELTA: u32 = 26;
export const KERNEL_DELTA_NORM: u32 = 27;
export const KERNEL_COARSE_SPREAD: u32 = 28;
export const KERNEL_COARSE_CODE: u32 = 29;

/** Runs one tile of kernel `kernel`. `scratch` is this thread's own memory. */
export function runTile(kernel: u32, args: usize, tile: u32, scratch: usize): void {
  switch (kernel) {
    case KERNEL_PREPARE: return prepareTile(changetype<Linear>(args), tile);
    case KERNEL_PRODUCT: return productTile(changetype<Linear>(args), tile, scratch);
    case KERNEL_GATED: return gatedTile(changetype<Linear>(args), tile, scratch);
    case KERNEL_NORM: return normTile(changetype<Linear>(args), tile);
    case KERNEL_EMBED: return embedTile(changetype<Linear>(args), tile);
    case KERNEL_ROPE: return ropeTile(changetype<RopeAppend>(args), tile, scratch);
    case KERNEL_ATTENTION: return attentionTile(changetype<Attention>(args), tile, scratch);
    case KERNEL_TAKE: return takeTile(changetype<Rowwise>(args), tile);
    case KERNEL_ADD: return addTile(changetype<Rowwise>(args), tile);
    case KERNEL_MODULATE: return modulateTile(changetype<Rowwise>(args), tile);
    case KERNEL_GATED_ADD: return gatedAddTile(changetype<Rowwise>(args), tile);
    case KERNEL_DENOISE: return denoiseTile(changetype<Denoise>(args), tile);
    case KERNEL_MOMENTS: return momentsTile(changetype<Moments>(args), tile, scratch);
    case KERNEL_GROUP_NORM: return groupNormTile(changetype<GroupNorm>(args), tile);
    case KERNEL_CONV_PREPARE: return convPrepareTile(changetype<Conv>(args), tile, scratch);
    case KERNEL_CONV: return convTile(changetype<Conv>(args), tile, scratch);
    case KERNEL_CONVERT: return convertTile(changetype<Convert>(args), tile, scratch);
    case KERNEL_PROBE_SUM: return probeSumTile(changetype<Probe>(args), tile, scratch);
    case KERNEL_PROBE_JOIN: return probeJoinTile(changetype<Probe>(args), tile);
    case KERNEL_PROBE_MASS: return probeMassTile(changetype<Probe>(args), tile, scratch);
    case KERNEL_PROBE_SPANS: return probeSpansTile(changetype<Probe>(args), tile);
    case KERNEL_CACHED: return cachedTile(changetype<Cached>(args), tile);
    case KERNEL_SPAN_MEANS: return spanMeansTile(changetype<Cached>(args), tile, scratch);
    case KERNEL_ROW_MEANS: return rowMeansTile(changetype<RowMeans>(args), tile);
    case KERNEL_SHORT_CONV: return shortConvTile(changetype<ShortConv>(args), tile);
    case KERNEL_DELTA_GATES: return deltaGatesTile(changetype<Delta>(args), tile);
    case KERNEL_DELTA: return deltaTile(changetype<Delta>(args), tile, scratch);
    case KERNEL_DELTA_NORM: return deltaNormTile(changetype<Delta>(args), tile, scratch);
    case KERNEL_COARSE_SPREAD: return coarseSpreadTile(changetype<Probe>(args), tile, scratch);
    case KERNEL_COARSE_CODE: return coarseCodeTile(changetype<Probe>(args), tile, scratch);
    default: unreachable();
  }
}
