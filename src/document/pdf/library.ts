/** What is used of pdf.js, and how it is started: in a worker of its own where there are workers, else in the calling thread. */

export interface PdfTextItem {
  readonly str: string;
  readonly dir: string;
  readonly transform: readonly number[];
  readonly width: number;
  readonly height: number;
  readonly fontName: string;
  /** Where each unit of `str` begins, and the last one ends, as shares of the width: what `glyphs.ts` adds. */
  readonly bounds?: readonly number[];
  /** The name of the marked content that it stands in, and whether it is a header, a footer or the like: what `tags.ts` adds. */
  readonly mark?: string;
  readonly artifact?: true;
}

/** Where marked content begins or ends. */
export interface PdfMark {
  readonly type: string;
  readonly tag?: string | null;
  readonly id?: string | null;
}

/** An element of the tree in which a page says what its text is. */
export interface PdfTag {
  readonly role: string;
  readonly children: readonly (PdfTag | { readonly type: string; readonly id: string })[];
  readonly alt?: string;
  readonly bbox?: readonly number[];
}

/** What a page draws, operation by operation. */
export interface PdfOperators {
  readonly fnArray: readonly number[];
  readonly argsArray: readonly unknown[];
}

export interface PdfTextContent {
  readonly items: readonly (PdfTextItem | PdfMark)[];
  readonly styles: Readonly<Record<string, { readonly fontFamily?: string; readonly vertical?: boolean }>>;
}

export interface PdfViewport {
  readonly width: number;
  readonly height: number;
  readonly transform: readonly [number, number, number, number, number, number] | readonly number[];
}

/** What is used of a field of a form. */
export interface PdfAnnotation {
  readonly fieldType?: string | null;
  readonly fieldValue?: unknown;
  readonly hidden?: boolean;
  readonly password?: boolean;
  readonly rect?: readonly number[];
  readonly subtype?: string;
  readonly annotationFlags?: number;
  readonly contentsObj?: { readonly str: string };
  readonly titleObj?: { readonly str: string };
  /** Lines of a text that is written on the page (`FreeText`). */
  readonly textContent?: readonly string[];
  readonly defaultAppearanceData?: { readonly fontSize?: number };
}

export interface PdfPage {
  readonly ref: unknown;
  getAnnotations(): Promise<readonly PdfAnnotation[]>;
  getViewport(options: { readonly scale: number }): PdfViewport;
  getTextContent(options: {
    readonly disableNormalization: boolean;
    readonly includeMarkedContent?: boolean;
  }): Promise<PdfTextContent>;
  /** Null where the file has none. */
  getStructTree(): Promise<PdfTag | null>;
  getOperatorList(options?: { readonly annotationMode: number }): Promise<PdfOperators>;
  /** What pages share, among it fonts by their names; those of an operator list are there with it. */
  readonly commonObjs: { has(name: string): boolean; get(name: string): unknown };
  render(options: { readonly canvasContext: unknown; readonly viewport: PdfViewport }): {
    readonly promise: Promise<void>;
  };
  cleanup(): boolean;
}

export interface PdfOutlineNode {
  readonly title: string;
  readonly dest: string | readonly unknown[] | null;
  readonly items: readonly PdfOutlineNode[];
}

export interface PdfFile {
  readonly numPages: number;
  getPage(number: number): Promise<PdfPage>;
  getOutline(): Promise<readonly PdfOutlineNode[] | null>;
  getDestination(name: string): Promise<readonly unknown[] | null>;
  getPageIndex(ref: unknown): Promise<number>;
  getPageLabels(): Promise<readonly string[] | null>;
  /** Null where the file has no form. */
  getFieldObjects(): Promise<object | null>;
  getMetadata(): Promise<{ readonly info: object }>;
  /** By names, null where there are none. */
  getAttachments(): Promise<Readonly<Record<string, { readonly filename?: unknown }>> | null>;
  getOptionalContentConfig(): Promise<{ isVisible(group: unknown): boolean }>;
}

export interface PdfLibrary {
  readonly OPS: Readonly<Record<string, number>>;
  getDocument(options: object): { readonly promise: Promise<PdfFile>; destroy(): Promise<void> };
  readonly PDFWorker: new (options: { readonly port: unknown; readonly verbosity: number }) => { destroy(): void };
}

/** A thread that reads PDFs, by the port that pdf.js talks to. */
export interface PdfThread {
  readonly port: unknown;
  close(): void;
}

export async function pdfLibrary(): Promise<PdfLibrary> {
  return (await import('pdfjs-dist/legacy/build/pdf.mjs')) as unknown as PdfLibrary;
}

/** A thread that has not answered by then is taken for one that never will. */
const START_MILLISECONDS = 10_000;

/** `startWorker`: the platform's; undefined where there is none (Node, where the engine has a thread of its own). */
export async function pdfThread(startWorker: (() => Worker) | undefined): Promise<PdfThread> {
  if (startWorker !== undefined) {
    try {
      const worker = startWorker();
      try {
        await answers(worker);
        return { port: worker, close: () => worker.terminate() };
      } catch {
        worker.terminate();
      }
    } catch {
      // A security policy forbids it, or the script was not found: it is read here.
    }
  }
  // The library leaves itself in a global variable, where another version of it would find it.
  const globals = globalThis as { pdfjsWorker?: unknown };
  const before = globals.pdfjsWorker;
  const { WorkerMessageHandler } = (await import('pdfjs-dist/legacy/build/pdf.worker.mjs')) as unknown as {
    readonly WorkerMessageHandler: { initializeFromPort(port: MessagePort): void };
  };
  if (before === undefined) delete globals.pdfjsWorker;
  else globals.pdfjsWorker = before;
  const { port1, port2 } = new MessageChannel();
  WorkerMessageHandler.initializeFromPort(port2);
  port2.start();
  port1.start();
  return {
    port: port1,
    close: () => {
      port1.close();
      port2.close();
    },
  };
}

/** The worker's script says that it is ready as soon as it runs. */
function answers(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('no answer')), START_MILLISECONDS);
    worker.addEventListener(
      'message',
      () => {
        clearTimeout(late);
        resolve();
      },
      { once: true },
    );
    worker.addEventListener(
      'error',
      (event) => {
        event.preventDefault();
        clearTimeout(late);
        reject(new Error('its script could not be loaded'));
      },
      { once: true },
    );
  });
}
