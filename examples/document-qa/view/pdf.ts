/** Pages of a PDF drawn by pdf.js, whose worker, character maps and fonts are files of this application. Fetched with the first PDF that is shown. */
import { getDocument, GlobalWorkerOptions, PasswordResponses, TextLayer, type PDFDocumentProxy } from 'pdfjs-dist';
import type { DrawnPage, DrawnPages } from './pages.ts';
import PdfWorker from 'pdfjs-dist/build/pdf.worker.min.mjs?worker';

/** Pixels of a canvas: browsers on phones refuse larger ones. */
const MOST_PIXELS = 12_000_000;

export class PdfPages implements DrawnPages {
  readonly #document: PDFDocumentProxy;

  constructor(document: PDFDocumentProxy) {
    this.#document = document;
  }

  /** Draws a page `width` pixels wide into `place`, with its letters above it, so that they can be selected and read aloud. */
  async draw(number: number, place: HTMLElement, width: number, signal: AbortSignal): Promise<DrawnPage> {
    const page = await this.#document.getPage(number);
    signal.throwIfAborted();
    const scale = width / page.getViewport({ scale: 1 }).width;
    const viewport = page.getViewport({ scale });
    const ratio = Math.min(devicePixelRatio, Math.sqrt(MOST_PIXELS / (viewport.width * viewport.height)));
    const canvas = document.createElement('canvas');
    canvas.width = Math.floor(viewport.width * ratio);
    canvas.height = Math.floor(viewport.height * ratio);
    canvas.setAttribute('aria-hidden', 'true');
    const context = canvas.getContext('2d', { alpha: false });
    if (context === null) throw new Error('this browser draws nothing');
    const task = page.render({
      canvasContext: context,
      viewport,
      ...(ratio !== 1 && { transform: [ratio, 0, 0, ratio, 0, 0] }),
    });
    const stop = (): void => task.cancel();
    signal.addEventListener('abort', stop);
    try {
      await task.promise;
    } finally {
      signal.removeEventListener('abort', stop);
    }
    signal.throwIfAborted();
    const letters = document.createElement('div');
    letters.className = 'letters';
    letters.style.setProperty('--scale-factor', String(scale));
    const layer = new TextLayer({ textContentSource: page.streamTextContent(), container: letters, viewport });
    await layer.render();
    signal.throwIfAborted();
    place.replaceChildren(canvas, letters);
    return {
      clear: () => {
        layer.cancel();
        // Safari gives the memory of a canvas back when it has no pixels.
        canvas.width = 0;
        canvas.height = 0;
        // Another drawing of the page may have taken the place.
        canvas.remove();
        letters.remove();
        page.cleanup();
      },
    };
  }

  async close(): Promise<void> {
    await this.#document.loadingTask.destroy();
  }
}

/** `ask` is called for the password of an encrypted file, as often as it is wrong; undefined ends it. */
export async function openPdf(
  bytes: ArrayBuffer,
  ask: (again: boolean) => Promise<string | undefined>,
): Promise<PdfPages | undefined> {
  GlobalWorkerOptions.workerPort ??= new PdfWorker();
  const task = getDocument({
    data: bytes,
    isEvalSupported: false,
    enableXfa: false,
    cMapUrl: new URL('./pdfjs/cmaps/', location.href).href,
    cMapPacked: true,
    standardFontDataUrl: new URL('./pdfjs/standard_fonts/', location.href).href,
  });
  let refused = false;
  task.onPassword = async (update: (password: string) => void, reason: number) => {
    const password = await ask(reason === PasswordResponses.INCORRECT_PASSWORD);
    if (password !== undefined) return update(password);
    refused = true;
    await task.destroy();
  };
  try {
    return new PdfPages(await task.promise);
  } catch (error) {
    if (refused) return undefined;
    throw error;
  }
}
