// A picture from words.
import { startWork } from './work.js';

export function startPaint(room, actions) {
  return startWork(room, {
    capability: 'paint',
    actions,
    ready: () => true,
    work: (model, prompt, options) => model.paint({ prompt, ...options }),
  });
}
