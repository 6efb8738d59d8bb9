// The studio: one model, three ways to use it. Everything happens on this device.
import { Octavo } from '/octavo/dist/index.js';
import { startTalk } from './talk.js';
import { startPaint } from './paint.js';
import { startEdit } from './edit.js';

const $ = (selector) => document.querySelector(selector);
const status = $('#status');
const loading = $('#loading');

const tabs = [...document.querySelectorAll('[role=tab]')];
export function open(name) {
  for (const tab of tabs) {
    const chosen = tab.getAttribute('aria-controls') === name;
    tab.setAttribute('aria-selected', String(chosen));
    document.getElementById(tab.getAttribute('aria-controls')).hidden = !chosen;
  }
}
for (const [index, tab] of tabs.entries()) {
  tab.addEventListener('click', () => open(tab.getAttribute('aria-controls')));
  tab.addEventListener('keydown', ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (step === undefined) return;
    const next = tabs[(index + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });
}

const rooms = {
  talk: startTalk($('#talk')),
  paint: startPaint($('#paint'), {
    edit: (picture) => (rooms.edit.take(picture), open('edit')),
    ask: (picture) => (rooms.talk.attach(picture), open('talk')),
  }),
  edit: startEdit($('#edit'), {
    edit: (picture) => rooms.edit.take(picture),
    ask: (picture) => (rooms.talk.attach(picture), open('talk')),
  }),
};

const NANO = 'nano';
const REAL = 'hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf';
let model;

/** The model in use stays until the new one has loaded, so that a file that is none costs nothing. */
async function load(input, name) {
  const before = status.textContent;
  loading.hidden = false;
  loading.value = 0;
  status.textContent = `Loading ${name}…`;
  let loaded;
  try {
    loaded = await Octavo.load(input, {
      onProgress: ({ loaded: done, total }) => (loading.value = total > 0 ? done / total : 0),
    });
  } catch (error) {
    status.textContent = model === undefined ? error.message : `${error.message} — still: ${before}`;
    status.title = error.message;
    return;
  } finally {
    loading.hidden = true;
  }
  for (const room of Object.values(rooms)) room.leave();
  await model?.destroy();
  model = loaded;
  status.textContent = `${name} on ${model.device.description}`;
  status.title = model.device.reason;
  for (const room of Object.values(rooms)) await room.enter(model, input === NANO);
  const mine = model;
  mine.lost.then((error) => {
    if (model === mine) status.textContent = `${error.message} Reload the page to go on.`;
  });
}

$('#file').addEventListener('change', ({ target }) => {
  const [file] = target.files;
  if (file !== undefined) load(file, file.name);
  target.value = '';
});
$('#real').addEventListener('click', () => load(REAL, 'Qwen2.5 0.5B'));
const asked = new URLSearchParams(location.search).get('model');
await load(asked ?? NANO, asked ?? NANO);
document.body.dataset.ready = 'true';
