/** Sends the reports of a session, while it computes, as events and stream items of a call. */
import type { SessionListener } from '../../session.ts';
import type { PromptEvent } from '../../worker/api.ts';
import type { CallContext } from '../../worker/responder.ts';

/** Prefill progress is sent at most this often, in milliseconds. */
const PROGRESS_INTERVAL = 50;

export function sessionListener(context: Pick<CallContext<PromptEvent>, 'signal' | 'event'>): SessionListener {
  return {
    signal: context.signal,
    onOverflow: () => context.event({ kind: 'overflow' }),
    onContext: (choice) => context.event({ kind: 'context', choice }),
    onPrefill: throttle((done, total) => context.event({ kind: 'prefill', done, total })),
  };
}

export function throttle(send: (done: number, total: number) => void): (done: number, total: number) => void {
  let last = 0;
  return (done, total) => {
    const now = performance.now();
    if (done < total && now - last < PROGRESS_INTERVAL) return;
    last = now;
    send(done, total);
  };
}
