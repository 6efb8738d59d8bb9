/** What the samples of the guides take for granted: names that a page has, and functions of an app. */
import type { OctavoModel, OctavoSession } from 'octavo';
import type { LanguageModelConstructor } from 'octavo/prompt-api';

declare global {
  const model: OctavoModel;
  const embedder: OctavoModel;
  const session: OctavoSession;
  const file: File;
  const blob: Blob;
  const url: string;
  const apiKey: string;
  const signal: AbortSignal;
  const canvas: HTMLCanvasElement;
  /** Shows something on the page. */
  function show(what: unknown): void;
  /** Runs a tool of the app by its name. */
  function runTool(name: string, input: Readonly<Record<string, unknown>>): Promise<string>;
  /** The browser's own, or the one of `octavo/prompt-api`. */
  var LanguageModel: LanguageModelConstructor;

  /** Of service workers, whose types cannot stand beside those of pages. */
  interface FetchEvent extends Event {
    readonly request: Request;
    respondWith(response: Promise<Response>): void;
  }
  interface WindowEventMap {
    fetch: FetchEvent;
  }
}
