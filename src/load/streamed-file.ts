/** The one `ModelFile`: tensors placed in sources, delivered by one streaming pass in file order. */
import type { Weight, WeightWriter } from '../backend/backend.ts';
import { sha256, streamingSha256 } from '../hash.ts';
import { FileError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { createConverter, type Converter } from './convert.ts';
import { createFiniteCheck } from './finite.ts';
import type { ModelFile, ModelMetadata, ReadOptions, TensorInfo } from './model-file.ts';
import { Meter } from './progress.ts';
import type { StoredFormat } from './stored-format.ts';

/** Bytes between two wanted tensors up to which they are read and dropped, which costs less than another request. */
const GAP_BYTES = 256 << 10;

export interface PlacedTensor {
  readonly info: TensorInfo;
  /** Index into the sources, and where in it the stored bytes begin. */
  readonly source: number;
  readonly offset: number;
  readonly stored: StoredFormat;
  readonly storedBytes: number;
}

interface Job extends PlacedTensor {
  readonly writer: WeightWriter;
}

/** A file, and what of it was read before: the bytes that say what its tensors are. */
export interface HeadedSource {
  readonly source: ByteSource;
  readonly header: { readonly start: number; readonly end: number; readonly sha256: string };
}

export interface StreamedFileParts {
  readonly name: string;
  readonly metadata: ModelMetadata;
  readonly placed: readonly PlacedTensor[];
  readonly sources: readonly HeadedSource[];
  readonly fingerprint: string;
}

export class StreamedModelFile implements ModelFile {
  readonly name: string;
  readonly metadata: ModelMetadata;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly bytes: number;
  readonly fingerprint: string;
  readonly #placed: readonly PlacedTensor[];
  readonly #sources: readonly HeadedSource[];
  /** Sources whose SHA-256 was found right by an earlier pass. */
  readonly #verified = new Set<number>();

  constructor({ name, metadata, placed, sources, fingerprint }: StreamedFileParts) {
    this.name = name;
    this.metadata = metadata;
    this.fingerprint = fingerprint;
    this.#placed = placed.toSorted((a, b) => a.source - b.source || a.offset - b.offset);
    this.#sources = sources;
    this.tensors = new Map(this.#placed.map(({ info }) => [info.name, info]));
    this.bytes = sources.reduce((sum, { source }) => sum + source.size, 0);
  }

  async read(
    writer: (info: TensorInfo) => WeightWriter | undefined,
    options: ReadOptions = {},
  ): Promise<ReadonlyMap<string, Weight>> {
    const { signal, monitor } = options;
    signal?.throwIfAborted();
    const jobs: Job[] = [];
    const weights = new Map<string, Weight>();
    const finished = new Set<Job>();
    try {
      for (const tensor of this.#placed) {
        const taken = writer(tensor.info);
        if (taken !== undefined) jobs.push({ ...tensor, writer: taken });
      }
      const runs = this.#plan(jobs);
      const total = runs.reduce((sum, run) => sum + run.end - run.start, 0);
      const meter = new Meter(monitor, 'load', this.name, total);
      for (const run of runs) {
        await this.#stream(run, meter, signal, async (job) => {
          weights.set(job.info.name, await job.writer.finish());
          finished.add(job);
        });
      }
      return weights;
    } catch (fault) {
      for (const job of jobs) if (!finished.has(job)) job.writer.abort();
      for (const weight of weights.values()) weight.free();
      throw fault;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map(({ source }) => source.close()));
  }

  /**
   * Adjacent tensors make one range. A file that is to be verified is one range as a whole; so is one whose versions cannot be told apart, from its
   * beginning to its last tensor, so that header and data are of one answer.
   */
  #plan(jobs: readonly Job[]): Run[] {
    const runs: Run[] = [];
    for (const job of jobs) {
      const headed = this.#sources[job.source];
      if (headed === undefined) continue;
      const { source } = headed;
      const last = runs[runs.length - 1];
      const end = job.offset + job.storedBytes;
      if (last !== undefined && last.headed === headed && (last.start === 0 || job.offset - last.end <= GAP_BYTES)) {
        last.jobs.push(job);
        last.end = Math.max(last.end, end);
        continue;
      }
      const sha256 = this.#verified.has(job.source) ? undefined : source.expectedSha256;
      const whole = sha256 !== undefined;
      const fromStart = whole || (source.unvalidated === true && last?.headed !== headed);
      runs.push({ headed, start: fromStart ? 0 : job.offset, end: whole ? source.size : end, jobs: [job], sha256 });
    }
    return runs;
  }

  async #stream(
    run: Run,
    meter: Meter,
    signal: AbortSignal | undefined,
    finish: (job: Job) => Promise<void>,
  ): Promise<void> {
    const { headed, start, end, jobs, sha256: expected } = run;
    const { source, header } = headed;
    const hasher = expected === undefined ? undefined : (await streamingSha256()).init();
    // What the tensors were placed by must be what comes now.
    const head = start > header.start ? undefined : new Uint8Array(header.end - header.start);
    let position = start;
    let next = 0;
    let converter: Converter | undefined;
    let finite = createFiniteCheck('F32');
    let open = false;
    for await (const chunk of source.stream(start, end, signal)) {
      if (position + chunk.length > end)
        throw new FileError(
          'malformed',
          { file: source.name, field: 'bytes', offset: end },
          'more bytes arrived than were requested',
        );
      hasher?.update(chunk);
      const chunkEnd = position + chunk.length;
      if (head !== undefined && position < header.end && chunkEnd > header.start) {
        const from = Math.max(0, header.start - position);
        head.set(chunk.subarray(from, Math.min(chunk.length, header.end - position)), position + from - header.start);
        if (chunkEnd >= header.end && (await sha256(head)) !== header.sha256)
          throw new FileError(
            'checksum',
            { file: source.name, field: 'header' },
            'the header differs from the one read before: the file has changed; load it again',
          );
      }
      for (let job = jobs[next]; job !== undefined && job.offset < chunkEnd; job = jobs[next]) {
        if (!open) {
          converter = createConverter(job.stored, job.info.format, source.name, job.info.name);
          finite = createFiniteCheck(job.stored);
        }
        open = true;
        const jobEnd = job.offset + job.storedBytes;
        const piece = chunk.subarray(Math.max(0, job.offset - position), Math.min(chunk.length, jobEnd - position));
        if (!finite.push(piece))
          throw new FileError(
            'malformed',
            { file: source.name, field: job.info.name },
            'it holds infinite values or NaN: the file is damaged, or its conversion went wrong; take another copy of the model',
          );
        const bytes = converter === undefined ? piece : converter.push(piece);
        if (bytes.length > 0) await job.writer.write(bytes);
        signal?.throwIfAborted();
        if (jobEnd > chunkEnd) break;
        await finish(job);
        signal?.throwIfAborted();
        open = false;
        next++;
      }
      position = chunkEnd;
      meter.add(chunk.length);
    }
    if (position !== end) {
      const field = jobs[next]?.info.name ?? 'bytes';
      throw new FileError(
        'truncated',
        { file: source.name, field, offset: position },
        `the data ends here; ${end - position} more bytes should follow`,
      );
    }
    if (hasher !== undefined && expected !== undefined) {
      const found = hasher.digest('hex');
      if (found !== expected) throw hashFault(source.name, found, expected);
      this.#verified.add(this.#sources.indexOf(headed));
    }
  }
}

export function hashFault(file: string, found: string, expected: string): FileError {
  return new FileError(
    'checksum',
    { file, field: 'SHA-256' },
    `it is ${found} and should be ${expected}: the file is damaged or another version; download it again`,
  );
}

interface Run {
  readonly headed: HeadedSource;
  readonly start: number;
  end: number;
  readonly jobs: Job[];
  readonly sha256: string | undefined;
}
