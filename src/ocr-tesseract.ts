/**
 * `octavo/ocr-tesseract`: reads pages that are pictures with tesseract.js 7, an optional peer dependency. Nothing is fetched from a CDN: in Node the library and
 * `@tesseract.js-data/<language>` are found where npm put them, and in browsers the app serves their files and says where.
 */
import type * as ModuleLibrary from 'node:module';
import type * as PathLibrary from 'node:path';
import { FileError, InputError, StorageError, type RecognisedLine, type Recogniser } from 'octavo';

/** Where tesseract.js and its languages are, and which words count. */
export interface TesseractOptions {
  /** Languages by tesseract's codes, such as `eng` or `deu`; default `eng`. More than one read mixed texts, and slower. */
  readonly languages?: readonly string[] | undefined;
  /** tesseract.js/dist/worker.min.js, as the app serves it. Needed in browsers. */
  readonly workerPath?: string | undefined;
  /** The folder of tesseract.js-core, as the app serves it; the build for the browser's SIMD is chosen in it. Needed in browsers. */
  readonly corePath?: string | undefined;
  /** The folder of `<language>.traineddata.gz`: `@tesseract.js-data/eng/4.0.0_best_int` for English. Needed in browsers, and for several languages. */
  readonly langPath?: string | undefined;
  /** Words that tesseract is less sure of, from 0 to 100, are left out; default 30. */
  readonly leastConfidence?: number | undefined;
}

/** Give it as `ocr` to `openDocument` and `openLibrary`. Its worker starts with the first picture and ends with `close`. */
export interface TesseractRecogniser extends Recogniser {
  /** Ends its worker. */
  close(): Promise<void>;
}

/** What is used of tesseract.js. */
interface TesseractWorker {
  recognize(
    picture: unknown,
    options: object,
    output: { readonly blocks: true },
  ): Promise<{ readonly data: { readonly blocks: readonly TesseractBlock[] | null } }>;
  terminate(): Promise<unknown>;
}
interface TesseractBlock {
  readonly paragraphs: readonly {
    readonly lines: readonly { readonly words: readonly TesseractWord[] }[];
  }[];
}
interface TesseractWord {
  readonly text: string;
  readonly confidence: number;
  readonly bbox: { readonly x0: number; readonly y0: number; readonly x1: number; readonly y1: number };
}
type CreateWorker = (languages: readonly string[], engine: 1, options: object) => Promise<TesseractWorker>;

/** Not literals, so that bundlers for browsers do not look for them. */
const NODE = ['node:module', 'node:path'];
const LEAST_CONFIDENCE = 30;
const PATHS = ['workerPath', 'corePath', 'langPath'] as const;
const NAMES = new Set<string>([...PATHS, 'languages', 'leastConfidence']);

/** Throws `InputError('argument')` for options that are unknown and, in browsers, for paths that are missing. */
export function tesseract(options: TesseractOptions = {}): TesseractRecogniser {
  const { languages = ['eng'], leastConfidence = LEAST_CONFIDENCE } = options;
  const node = typeof process === 'object' && typeof process.versions?.node === 'string' && !('document' in globalThis);
  for (const name of Object.keys(options))
    if (!NAMES.has(name)) throw new InputError('argument', `tesseract: there is no option ${name}`, { name });
  if (languages.length === 0 || languages.some((code) => !/^[a-z_A-Z]{3,20}$/.test(code)))
    throw new InputError('argument', "tesseract: languages are tesseract's codes, such as eng or deu", {
      languages,
    });
  const missing = node ? [] : PATHS.filter((name) => options[name] === undefined);
  if (missing.length > 0)
    throw new InputError(
      'argument',
      `tesseract: ${missing.join(', ')}: serve the files of tesseract.js, tesseract.js-core and @tesseract.js-data from npm, and say where; nothing is fetched from elsewhere`,
      { missing },
    );
  let worker: Promise<TesseractWorker> | undefined;
  let closed = false;
  /** tesseract.js answers one picture after the other; an abort ends the worker, and the next picture starts another. */
  let turn: Promise<unknown> = Promise.resolve();
  /** Ends the picture that is being read: tesseract.js itself never answers for a worker that was ended. */
  let end: (reason: unknown) => void = () => undefined;
  const gone = (): InputError => new InputError('destroyed', 'this recogniser was closed; make another');

  const read = async (picture: Blob, signal: AbortSignal | undefined): Promise<readonly RecognisedLine[]> => {
    signal?.throwIfAborted();
    if (closed) throw gone();
    worker ??= start(options, languages);
    let running: TesseractWorker;
    try {
      running = await worker;
    } catch (error) {
      worker = undefined;
      throw error;
    }
    const stop = (): void => {
      worker = undefined;
      void running.terminate();
    };
    signal?.throwIfAborted();
    if (closed) throw gone();
    const ended = new Promise<never>((_, reject) => (end = reject));
    // It may reject before it is waited for.
    ended.catch(() => undefined);
    const abort = (): void => {
      stop();
      end(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const input = node ? new Uint8Array(await picture.arrayBuffer()) : picture;
      const { data } = await Promise.race([running.recognize(input, {}, { blocks: true }), ended]);
      return linesOf(data.blocks ?? [], leastConfidence);
    } catch (cause) {
      signal?.throwIfAborted();
      if (closed) throw gone();
      // It says what is wrong by a string, and is of no use afterwards.
      stop();
      const problem = cause instanceof Error ? cause.message : String(cause);
      throw new FileError(
        'unsupported',
        { file: 'picture', field: 'text' },
        `tesseract.js cannot read it: ${problem}`,
        {
          cause,
        },
      );
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  };

  return {
    async recognise(picture, { signal }) {
      const own = turn.then(() => read(picture, signal));
      turn = own.catch(() => undefined);
      return { lines: await own };
    },
    async close() {
      closed = true;
      end(gone());
      const running = await worker?.catch(() => undefined);
      worker = undefined;
      await running?.terminate();
    },
  };
}

async function start(
  { workerPath, corePath, langPath }: TesseractOptions,
  languages: readonly string[],
): Promise<TesseractWorker> {
  const library = (await import('tesseract.js').catch((cause: unknown) => {
    throw new StorageError(
      'unavailable',
      'tesseract.js is not installed: npm install tesseract.js@7 @tesseract.js-data/eng',
      {},
      { cause },
    );
  })) as unknown as {
    readonly createWorker?: CreateWorker;
    readonly default?: { readonly createWorker: CreateWorker };
  };
  const createWorker = library.createWorker ?? library.default?.createWorker;
  if (createWorker === undefined) throw new StorageError('unavailable', 'tesseract.js: this version has no workers');
  const data = langPath ?? (await installed(languages));
  try {
    return await createWorker(languages, 1, {
      // The data is kept by npm or by the server: a second copy in the working folder or in IndexedDB is of no use.
      cacheMethod: 'none',
      workerBlobURL: false,
      // Without it a failure of a job would be thrown a second time, at nobody.
      errorHandler: () => undefined,
      ...(workerPath !== undefined && { workerPath }),
      ...(corePath !== undefined && { corePath }),
      langPath: data,
    });
  } catch (cause) {
    throw new StorageError(
      'unavailable',
      `tesseract.js did not start (${cause instanceof Error ? cause.message : String(cause)}); check ${PATHS.join(', ')}`,
      {},
      { cause },
    );
  }
}

/** The folder of a language's data in its npm package. Node only. */
async function installed([code = '', ...others]: readonly string[]): Promise<string> {
  if (others.length > 0)
    throw new InputError(
      'argument',
      'tesseract: put the data of several languages into one folder, and give it as langPath',
      { languages: [code, ...others] },
    );
  const [{ createRequire }, { dirname, join }] = (await Promise.all(NODE.map((name) => import(name)))) as [
    typeof ModuleLibrary,
    typeof PathLibrary,
  ];
  const name = `@tesseract.js-data/${code}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), '4.0.0_best_int');
  } catch (cause) {
    throw new StorageError(
      'unavailable',
      `${name} is not installed: npm install ${name}`,
      { language: code },
      { cause },
    );
  }
}

function linesOf(blocks: readonly TesseractBlock[], least: number): RecognisedLine[] {
  return blocks
    .flatMap(({ paragraphs }) => paragraphs.flatMap(({ lines }) => lines))
    .map(({ words }) => ({
      words: words
        .filter(({ confidence }) => confidence >= least)
        .map(({ text, bbox: { x0, y0, x1, y1 } }) => ({ text, box: [x0, y0, x1, y1] as const })),
    }))
    .filter(({ words }) => words.length > 0);
}
