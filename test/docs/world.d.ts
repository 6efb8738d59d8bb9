/**
 * What the samples of the guides take for granted: names that a page has, functions of an app, and the parts that they use of packages which are not
 * installed here.
 */

declare const model: import('octavo').OctavoModel;
declare const embedder: import('octavo').OctavoModel;
declare const session: import('octavo').OctavoSession;
declare const file: File;
declare const blob: Blob;
declare const url: string;
declare const apiKey: string;
declare const signal: AbortSignal;
declare const canvas: HTMLCanvasElement;
/** Shows something on the page. */
declare function show(what: unknown): void;
/** Runs a tool of the app by its name. */
declare function runTool(name: string, input: Readonly<Record<string, unknown>>): Promise<string>;
/** The browser's own, or the one of `octavo/prompt-api`. */
declare var LanguageModel: import('octavo/prompt-api').LanguageModelConstructor;

/** Of service workers, whose types cannot stand beside those of pages. */
interface FetchEvent extends Event {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
interface WindowEventMap {
  fetch: FetchEvent;
}

/** Version 7. */
declare module 'tesseract.js' {
  interface Box {
    readonly x0: number;
    readonly y0: number;
    readonly x1: number;
    readonly y1: number;
  }
  interface Line {
    readonly words: readonly { readonly text: string; readonly bbox: Box }[];
  }
  interface Page {
    readonly blocks: readonly { readonly paragraphs: readonly { readonly lines: readonly Line[] }[] }[] | null;
  }
  export function createWorker(
    languages: string,
    engine: number,
    options: {
      readonly workerPath: string;
      readonly corePath: string;
      readonly langPath: string;
      readonly workerBlobURL: boolean;
    },
  ): Promise<{
    recognize(picture: Blob, options: object, output: { readonly blocks: true }): Promise<{ readonly data: Page }>;
  }>;
}

/** Version 4, for `ai` 7. */
declare module '@ai-sdk/react' {
  export function useChat<Message extends import('ai').UIMessage>(options: {
    readonly transport: import('ai').ChatTransport<Message>;
  }): {
    readonly messages: Message[];
    readonly status: 'submitted' | 'streaming' | 'ready' | 'error';
    sendMessage(message: { readonly text: string }): Promise<void>;
  };
}
