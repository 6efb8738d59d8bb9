/**
 * Runs jobs on the threads of one engine. A job is the number of a kernel, an argument record and a number of tiles;
 * every idle thread takes the next tile. A thread takes a tile by a compare-and-swap of the ticket, which also holds
 * the job's generation. So a late thread can never take a tile of a job that it has not seen, the engine waits for
 * tiles and not for threads, and a sleeping thread delays nobody.
 *
 *   Pool (one record of 256 bytes, 64-byte aligned, zeroed by the host; hot words on cache lines of their own)
 *       0  ticket: u64          low half: tiles left; high half (at 4): generation, on which idle workers wait
 *      64  done: u32            tiles finished of this job
 *     128  sleepers: u32        workers in `atomic.wait`: the engine notifies only when there are any
 *     192  kernel: u32  196  args: u32  200  tiles: u32      the job
 *     204  stop: u32            not 0: workers leave
 *     208  lost: u32            not 0: a worker died; set by its host script
 *     212  workers: u32         number of threads besides the engine's own
 *     216  scratch: u32  220  scratchStride: u32   thread t owns [scratch + t * stride, + stride); the engine is t = 0
 *     224  sleeps: u32          not 0: the engine's thread may use `atomic.wait` (a browser's main thread must not)
 *
 * Builds without threads, and engines without workers, run all tiles on the calling thread.
 */
import { runTile } from './kernels';
import { relaxedDot } from './matmul';

const GENERATION: usize = 4;
const DONE: usize = 64;
const SLEEPERS: usize = 128;
const KERNEL: usize = 192;
const ARGS: usize = 196;
const TILES: usize = 200;
const STOP: usize = 204;
const LOST: usize = 208;
const WORKERS: usize = 212;
const SCRATCH: usize = 216;
const SCRATCH_STRIDE: usize = 220;
const SLEEPS: usize = 224;

/** A worker loads the ticket this many times before it sleeps: about 50 microseconds. */
const SPINS: u32 = 30000;
/**
 * The engine polls this many times before it sleeps between polls, where it may sleep: a late worker may need this very
 * core.
 */
const ENGINE_SPINS: u64 = 20000;
/** Nanoseconds of one such sleep. */
const NAP: i64 = 50_000;
/**
 * Polls without progress after which the engine gives up on a worker: about 20 seconds, asleep or awake. No tile takes
 * that long.
 */
const PATIENCE_ASLEEP: u64 = 200_000;
const PATIENCE_AWAKE: u64 = 20_000_000_000;
/** A mask of the poll counter: `lost` is read when the masked bits are 0. */
const GLANCE: u64 = 1023;

@inline
export function scratchOf(pool: usize, thread: u32): usize {
  return <usize>load<u32>(pool, SCRATCH) + <usize>thread * <usize>load<u32>(pool, SCRATCH_STRIDE);
}

/** Runs tiles of generation `generation` until none is left. */
function work(pool: usize, generation: u32, thread: u32): void {
  if (!ASC_FEATURE_THREADS) return;
  while (true) {
    const seen = atomic.load<u64>(pool);
    const left = <u32>seen;
    if (left == 0 || <u32>(seen >> 32) != generation) return;
    if (atomic.cmpxchg<u64>(pool, seen, seen - 1) != seen) continue;
    // The job cannot end before this tile does, so the words of the job do not change from here on.
    runTile(load<u32>(pool, KERNEL), load<u32>(pool, ARGS), load<u32>(pool, TILES) - left, scratchOf(pool, thread));
    atomic.add<u32>(pool + DONE, 1);
  }
}

/** Waits until all tiles are done. Returns 0, or 1 when a worker was lost. */
function settle(pool: usize, tiles: u32): u32 {
  if (!ASC_FEATURE_THREADS) return 0;
  const sleeps = load<u32>(pool, SLEEPS) != 0;
  let looks: u64 = 0;
  let before: u32 = 0;
  while (true) {
    const done = atomic.load<u32>(pool + DONE);
    if (done == tiles) return 0;
    if (done != before) {
      before = done;
      looks = 0;
    }
    looks++;
    if (sleeps && looks > ENGINE_SPINS) {
      if (looks > ENGINE_SPINS + PATIENCE_ASLEEP || atomic.load<u32>(pool + LOST) != 0) return 1;
      atomic.wait<i32>(pool + DONE, <i32>done, NAP);
    } else if ((looks & GLANCE) == 0 && (looks > PATIENCE_AWAKE || atomic.load<u32>(pool + LOST) != 0)) return 1;
  }
}

/**
 * Runs tiles [0, tiles) of a kernel on all threads and waits for them. Returns 0, or 1 when a worker was lost; the
 * results are then invalid.
 */
export function parallel(pool: usize, kernel: u32, args: usize, tiles: u32): u32 {
  if (!ASC_FEATURE_THREADS || tiles < 2 || load<u32>(pool, WORKERS) == 0) {
    const scratch = scratchOf(pool, 0);
    for (let tile: u32 = 0; tile < tiles; tile++) runTile(kernel, args, tile, scratch);
    return 0;
  }
  if (ASC_FEATURE_THREADS) {
    store<u32>(pool, kernel, KERNEL);
    store<u32>(pool, <u32>args, ARGS);
    store<u32>(pool, tiles, TILES);
    atomic.store<u32>(pool + DONE, 0);
    const generation = atomic.load<u32>(pool + GENERATION) + 1;
    atomic.store<u64>(pool, (<u64>generation << 32) | <u64>tiles);
    if (atomic.load<u32>(pool + SLEEPERS) != 0) atomic.notify(pool + GENERATION, -1);
    work(pool, generation, 0);
    return settle(pool, tiles);
  }
  return 0;
}

/** The main function of a worker thread. Returns when the engine stops the pool. `thread` is 1 or more. */
export function workerLoop(pool: usize, thread: u32): void {
  if (!ASC_FEATURE_THREADS) return;
  relaxedDot();
  let generation: u32 = 0;
  while (true) {
    let spins: u32 = 0;
    let now = atomic.load<u32>(pool + GENERATION);
    while (now == generation) {
      if (++spins >= SPINS) {
        atomic.add<u32>(pool + SLEEPERS, 1);
        atomic.wait<i32>(pool + GENERATION, <i32>generation, -1);
        atomic.sub<u32>(pool + SLEEPERS, 1);
        spins = 0;
      }
      now = atomic.load<u32>(pool + GENERATION);
    }
    if (atomic.load<u32>(pool + STOP) != 0) return;
    generation = now;
    work(pool, generation, thread);
  }
}

/** Makes all workers leave `workerLoop`, whether they sleep or not. */
export function stopPool(pool: usize): void {
  if (ASC_FEATURE_THREADS) {
    atomic.store<u32>(pool + STOP, 1);
    const generation = atomic.load<u32>(pool + GENERATION) + 1;
    atomic.store<u64>(pool, <u64>generation << 32);
    atomic.notify(pool + GENERATION, -1);
  }
}
