// A picture from words.
import { startWork } from './work.js';

export function startPaint(room, actions) {
  return startWork(room, {
    capability: 'paint',
    example: 'a red circle northwest and a blue star southeast',
    actions,
    ready: () => true,
    work: (model, prompt, options) => model.paint({ prompt, ...options }),
  });
}
