/** What tells two models with equal headers apart (fine-tunes of one base) without reading them whole. */
import { readBytes, type ByteSource } from './byte-source.ts';

const SAMPLE_BYTES = 64 << 10;

/** 64 KiB from the middle of a file's data; nothing where reaching it means reading half the file. */
export async function sampleBytes(source: ByteSource, dataOffset: number, signal?: AbortSignal): Promise<Uint8Array> {
  if (source.sequential || dataOffset >= source.size) return new Uint8Array(0);
  const middle = dataOffset + Math.floor((source.size - dataOffset) / 2);
  return readBytes(source, middle, Math.min(source.size, middle + SAMPLE_BYTES), signal);
}
