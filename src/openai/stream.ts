/** Responses that come piece by piece, as server-sent events (WHATWG HTML, section 9.2). */
import { problemOf } from './problem.ts';

/** A comment is sent where nothing else was for so long, in milliseconds: proxies and clients take silence for a broken connection. */
const KEEP_ALIVE = 10_000;
/** An answer that has not begun after so long answers with 200 and tells what goes wrong later in the stream, in milliseconds. */
const PATIENCE = 5_000;

const encoder = new TextEncoder();

/**
 * Events of one response. They are not held back by a slow reader, since other requests wait for the device: at most one answer is in memory, and the
 * context window bounds it.
 */
export class EventStream {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Resolves with the first event. */
  readonly begun: Promise<void>;
  #begin: () => void = () => undefined;
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `cancel`: ends the answer, whose reader is gone. */
  constructor(cancel: (reason: unknown) => void) {
    this.begun = new Promise((resolve) => (this.#begin = resolve));
    this.readable = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: (reason) => {
        this.#close();
        cancel(reason);
      },
    });
    this.#timer = setInterval(() => this.#write(': waiting\n\n'), KEEP_ALIVE);
  }

  send(event: object): void {
    this.#write(`data: ${JSON.stringify(event)}\n\n`);
    this.#begin();
  }

  end(): void {
    this.#write('data: [DONE]\n\n');
    this.#close()?.close();
  }

  /** Ends the stream with an error event, or, where the request was aborted, as an aborted body ends. */
  fail(error: unknown, signal: AbortSignal): void {
    if (!signal.aborted) this.send(problemOf(error).body);
    const controller = this.#close();
    if (signal.aborted) controller?.error(signal.reason);
    else controller?.close();
  }

  #write(text: string): void {
    this.#controller?.enqueue(encoder.encode(text));
  }

  #close(): ReadableStreamDefaultController | undefined {
    clearInterval(this.#timer);
    const controller = this.#controller;
    this.#controller = undefined;
    return controller;
  }
}

/** Runs `body`, which sends events. Rejects with what fails before the first event, so that the response has a status of its own. */
export async function streamed(
  signal: AbortSignal,
  body: (events: EventStream, signal: AbortSignal) => Promise<void>,
): Promise<Response> {
  const own = new AbortController();
  const abort = (): void => own.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  const events = new EventStream((reason) => own.abort(reason));
  const running = body(events, own.signal).finally(() => signal.removeEventListener('abort', abort));
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, PATIENCE);
  });
  try {
    await Promise.race([events.begun, running, patience]);
  } catch (error) {
    events.fail(error, own.signal);
    throw error;
  } finally {
    clearTimeout(timer);
  }
  running.then(
    () => events.end(),
    (error: unknown) => events.fail(error, own.signal),
  );
  return new Response(events.readable, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' },
  });
}
