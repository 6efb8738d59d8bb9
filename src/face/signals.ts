/** Several abort signals as one, without leaving listeners behind on the long-lived ones. */
export function linkedSignal(...signals: readonly (AbortSignal | undefined)[]): {
  readonly signal: AbortSignal;
  unlink(): void;
} {
  const controller = new AbortController();
  const undo: (() => void)[] = [];
  for (const signal of signals) {
    if (signal === undefined) continue;
    if (signal.aborted) {
      controller.abort(signal.reason);
      break;
    }
    const abort = (): void => controller.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    undo.push(() => signal.removeEventListener('abort', abort));
  }
  return { signal: controller.signal, unlink: () => undo.forEach((remove) => remove()) };
}
