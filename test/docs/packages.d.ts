/** What the samples of the guides use of packages that are not installed here. */

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
  import type { ChatTransport, UIMessage } from 'ai';

  export function useChat<Message extends UIMessage>(options: {
    readonly transport: ChatTransport<Message>;
  }): {
    readonly messages: Message[];
    readonly status: 'submitted' | 'streaming' | 'ready' | 'error';
    sendMessage(message: { readonly text: string }): Promise<void>;
  };
}
