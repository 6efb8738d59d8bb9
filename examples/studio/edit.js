// A picture changed by an instruction.
import { showFile } from './show.js';
import { startWork } from './work.js';

export function startEdit(room, actions) {
  const original = room.querySelector('#original');
  const chooser = room.querySelector('#source');
  let image;
  const work = startWork(room, {
    capability: 'edit',
    example: 'Make the circle blue',
    actions,
    ready: () => image !== undefined,
    work: (model, instruction, options) => model.edit({ image, instruction, ...options }),
  });
  async function take(file) {
    try {
      await showFile(original.querySelector('canvas'), file);
      image = file;
      original.hidden = false;
    } catch {
      image = undefined;
      original.hidden = true;
      room.querySelector('.left').textContent = 'This file holds no picture that this browser can read.';
    }
    work.refresh();
  }
  chooser.addEventListener('change', () => chooser.files[0] && take(chooser.files[0]));
  return { ...work, take };
}
