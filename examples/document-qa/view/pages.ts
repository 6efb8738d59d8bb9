/** What a document's pages are drawn by: pdf.js, fetched with the first PDF, or the browser for a picture. */

export interface DrawnPage {
  /** Gives its memory back. */
  clear(): void;
}

export interface DrawnPages {
  /** Draws a page `width` pixels wide into `place`. */
  draw(number: number, place: HTMLElement, width: number, signal: AbortSignal): Promise<DrawnPage>;
  close(): Promise<void>;
}

/** Bytes within which a PDF has its mark. */
const HEAD = 1024;

/** `ask` is called for the password of an encrypted file, as often as it is wrong; undefined ends it. */
export async function openPages(
  file: File,
  ask: (again: boolean) => Promise<string | undefined>,
): Promise<DrawnPages | undefined> {
  const head = await file.slice(0, HEAD).text();
  if (!head.includes('%PDF-')) return pictureOf(file);
  const [{ openPdf }, bytes] = await Promise.all([import('./pdf.ts'), file.arrayBuffer()]);
  return openPdf(bytes, ask);
}

function pictureOf(file: File): DrawnPages {
  const address = URL.createObjectURL(file);
  return {
    async draw(_number, place, _width, signal) {
      const picture = new Image();
      picture.src = address;
      picture.alt = '';
      await picture.decode();
      signal.throwIfAborted();
      place.replaceChildren(picture);
      return { clear: () => picture.remove() };
    },
    close: async () => URL.revokeObjectURL(address),
  };
}
