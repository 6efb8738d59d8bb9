// What painting and editing share: the form, its settings, the preview, and the pictures that came of it.
import { fileOf, showPixels } from './show.js';

/** Settings of a model as number fields; empty ones are left to the model. */
const SETTINGS = [
  { name: 'seed', label: 'Seed', min: 0, step: 1 },
  { name: 'steps', label: 'Rounds', min: 1, step: 1 },
  { name: 'diffusionSteps', label: 'Diffusion steps', min: 1, step: 1 },
  { name: 'guidance', label: 'Guidance', min: 0, step: 0.1 },
];

/**
 * `work(model, words, options)` resolves with a painted picture; `ready()` says whether the form has what it needs;
 * `example` is what the bundled model understands. */
export function startWork(room, { capability, example, actions, ready, work }) {
  const form = room.querySelector('form');
  const { words, go, stop } = form.elements;
  const bar = form.querySelector('progress');
  const left = form.querySelector('.left');
  const off = room.querySelector('.off');
  const pictures = room.querySelector('.pictures');
  let model;
  let abort;

  for (const { name, label, ...limits } of SETTINGS) {
    const field = document.createElement('input');
    Object.assign(field, { type: 'number', name, placeholder: 'auto', ...limits });
    const line = document.createElement('label');
    line.append(label, field);
    form.querySelector('.settings').append(line);
  }
  const settings = () =>
    Object.fromEntries(
      SETTINGS.filter(({ name }) => form.elements[name].value !== '').map(({ name }) => [
        name,
        Number(form.elements[name].value),
      ]),
    );
  const refresh = () => (go.disabled = model === undefined || abort !== undefined || !ready());

  function frame(caption) {
    const figure = document.querySelector('#picture').content.cloneNode(true).firstElementChild;
    figure.querySelector('figcaption').textContent = caption;
    figure.querySelector('.row').hidden = true;
    pictures.prepend(figure);
    return figure;
  }
  async function finish(figure, picture, caption) {
    showPixels(figure.querySelector('canvas'), picture.data, picture.width, picture.height);
    figure.querySelector('figcaption').textContent = caption;
    const file = await fileOf(picture, `octavo-${picture.seed}.png`);
    const does = {
      save: () => {
        const link = Object.assign(document.createElement('a'), {
          href: URL.createObjectURL(file),
          download: file.name,
        });
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      },
      edit: () => actions.edit(file),
      ask: () => actions.ask(file),
    };
    for (const button of figure.querySelectorAll('[data-do]'))
      button.addEventListener('click', () => does[button.dataset.do]());
    figure.querySelector('.row').hidden = false;
  }

  stop.addEventListener('click', () => abort?.abort());
  words.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    const asked = words.value.trim();
    if (asked === '') return;
    abort = new AbortController();
    refresh();
    stop.hidden = bar.hidden = false;
    bar.value = 0;
    left.textContent = '';
    const figure = frame(asked);
    const canvas = figure.querySelector('canvas');
    const begun = performance.now();
    try {
      const picture = await work(model, asked, {
        ...settings(),
        signal: abort.signal,
        onProgress: ({ tokens, totalTokens, secondsLeft }) => {
          bar.value = tokens / totalTokens;
          left.textContent = secondsLeft === undefined ? '' : `${secondsLeft.toFixed(1)} s left`;
        },
        onPreview: ({ data, width, height }) => showPixels(canvas, data, width, height),
      });
      await finish(
        figure,
        picture,
        `${asked} · seed ${picture.seed} · ${((performance.now() - begun) / 1000).toFixed(1)} s`,
      );
      left.textContent = '';
    } catch (error) {
      figure.remove();
      left.textContent = error.name === 'AbortError' ? 'stopped' : error.message;
    } finally {
      abort = undefined;
      stop.hidden = bar.hidden = true;
      refresh();
    }
  });

  return {
    refresh,
    enter(entered, bundled) {
      if (bundled) words.placeholder = `For nano: ${example}`;
      const can = entered.capabilities[capability];
      off.hidden = can;
      form.hidden = !can;
      off.textContent = can
        ? ''
        : `This model cannot ${capability}: ${entered.capabilities.missing.join(' ') || 'it has no such part.'}`;
      model = can ? entered : undefined;
      refresh();
    },
    leave() {
      abort?.abort();
      model = undefined;
      refresh();
    },
  };
}
