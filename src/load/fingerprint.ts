/** Distinguishes models with equal headers (fine-tunes of one base) without reading them completely. */
import { readBytes, type ByteSource } from './byte-source.ts';

const SAMPLE_BYTES = 64 << 10;

/** Returns 64 KiB from the middle of a file's data; nothing when reaching it requires reading half the file. */
export async function sampleBytes(source: ByteSource, dataOffset: number, signal?: AbortSignal): Promise<Uint8Array> {
  if (source.sequential || dataOffset >= source.size) return new Uint8Array(0);
  const middle = dataOffset + Math.floor((source.size - dataOffset) / 2);
  return readBytes(source, middle, Math.min(source.size, middle + SAMPLE_BYTES), signal);
}
