/** `<studio-kept>`: which cells of a picture the model reads, as an overlay, with a slider for their share and the time that it saves. `show(photo)` opens it. */
import type { KeptTile, KeptTokens, OctavoModel } from 'octavo';
import { html, nothing, type TemplateResult } from 'lit';
import { dialogFrame } from '../../common/dialog.ts';
import { define, Part } from '../../common/element.ts';
import { percent } from '../../common/format.ts';
import { isAbort, problemView } from '../../common/problem.ts';
import { holder, settings } from '../context.ts';
import { isTiny, putPixels, type Photo } from '../pictures/raster.ts';
import { say } from '../texts.ts';
import { talk } from './talk.ts';
import { time } from './view.ts';

const STEP = 0.05;
/** Milliseconds for which short readings are repeated. */
const REPEATED = 500;

export class KeptDialog extends Part {
  static override properties = {
    photo: { state: true },
    found: { state: true },
    problem: { state: true },
    measuring: { state: true },
    measured: { state: true },
  };
  declare photo: Photo | undefined;
  declare found: KeptTokens | undefined;
  declare problem: unknown;
  declare measuring: boolean;
  declare measured: { readonly whole: number; readonly part: number; readonly share: number } | undefined;
  #abort: AbortController | undefined;

  constructor() {
    super();
    this.measuring = false;
    this.watch(holder.state, settings);
  }

  show(photo: Photo): void {
    this.photo = photo;
    this.found = undefined;
    this.measured = undefined;
    this.problem = undefined;
    void this.updateComplete.then(() => this.querySelector('dialog')?.showModal());
    void this.#find();
  }

  override render(): TemplateResult {
    const { share } = settings.value;
    const { tokens = 0, kept = 0, tiles = [] } = this.found ?? {};
    const perToken = talk.perToken;
    const saved = perToken === undefined ? 0 : (tokens - kept) * perToken;
    return dialogFrame(
      { title: say('kept'), className: 'kept', onClose: () => this.#abort?.abort() },
      html`<div class="kept-tiles" data-count=${tiles.length} role="img" aria-label=${say('keptOf')}>
          ${tiles.map(
            ({ picture }) =>
              html`<div class="kept-tile">
                <canvas width=${picture.width} height=${picture.height} class=${isTiny(picture) ? 'tiny' : ''}></canvas>
                <canvas class="kept-mask"></canvas>
              </div>`,
          )}
        </div>
        ${this.problem === undefined ? nothing : problemView(this.problem)}
        <div class="slider">
          <label for="kept-share">${say('keptShare')}</label>
          <output class="numbers" for="kept-share">${percent(share)}</output>
          <input
            id="kept-share"
            type="range"
            min=${STEP}
            max="1"
            step=${STEP}
            .value=${String(share)}
            .style=${`--at: ${(share - STEP) / (1 - STEP)}`}
            @input=${(event: Event) => this.#choose(Number((event.currentTarget as HTMLInputElement).value))}
          />
        </div>
        <p class="numbers kept-count" role="status">
          ${this.found === undefined ? '…' : say('keptCount', { kept, tokens })}
          ${saved > 0.5 ? html`<span class="kept-saves">${say('keptSaves', { time: time(saved) })}</span>` : nothing}
        </p>
        <div class="kept-measure">
          <button class="button" ?disabled=${this.measuring || share === 1} @click=${() => void this.#measure()}>
            ${this.measuring ? html`<span class="spinner" aria-hidden="true"></span> ${say('keptMeasuring')}` : say('keptMeasure')}
          </button>
          <p class="hint numbers" role="status">
            ${
              this.measured === undefined || this.measured.share !== share
                ? ''
                : say('keptMeasured', { part: time(this.measured.part), whole: time(this.measured.whole) })
            }
          </p>
        </div>
        <p class="hint">${say('keptIntro')} ${say('keptNote')}</p>`,
    );
  }

  override updated(): void {
    const tiles = this.found?.tiles ?? [];
    for (const [index, element] of this.querySelectorAll('.kept-tile').entries()) {
      const tile = tiles[index];
      const [picture, mask] = element.querySelectorAll('canvas');
      if (tile === undefined || picture === undefined || mask === undefined) continue;
      putPixels(picture, tile.picture);
      drawMask(mask, tile);
    }
  }

  #choose(share: number): void {
    settings.set({ share: Math.round(share / STEP) * STEP });
    void this.#find();
  }

  async #find(): Promise<void> {
    const { photo } = this;
    const { model } = holder;
    if (photo === undefined || model === undefined) return;
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const { signal } = abort;
      const selection = { method: 'todre', keep: settings.value.share } as const;
      const found = await model.keptTokens(photo.blob, { selection, signal });
      if (!signal.aborted) this.found = found;
    } catch (error) {
      if (!isAbort(error)) this.problem = error;
    }
  }

  /** Reads the picture in two sessions that nothing else uses, with all tokens and with those that are kept. */
  async #measure(): Promise<void> {
    const { photo } = this;
    const { model } = holder;
    if (photo === undefined || model === undefined) return;
    const { share } = settings.value;
    this.measuring = true;
    try {
      // The first reading also loads what later ones find loaded.
      await reading(model, photo, 1);
      await reading(model, photo, share);
      const begun = performance.now();
      let [whole, part] = [Infinity, Infinity];
      // Short times vary: the shortest of several is told.
      do {
        whole = Math.min(whole, await reading(model, photo, 1));
        part = Math.min(part, await reading(model, photo, share));
      } while (performance.now() - begun < REPEATED);
      this.measured = { whole, part, share };
    } catch (error) {
      this.problem = error;
    } finally {
      this.measuring = false;
    }
  }
}

/** Milliseconds in which a picture is read, after it was encoded. */
async function reading(model: OctavoModel, { blob }: Photo, keep: number): Promise<number> {
  const session = await model.createSession({
    context: { share: false, ...(keep < 1 && { visual: { method: 'todre', keep } }) },
  });
  try {
    const content = [
      { type: 'image' as const, value: blob },
      { type: 'text' as const, value: '?' },
    ];
    const begun = performance.now();
    await session.append([{ role: 'user', content }]);
    return performance.now() - begun;
  } finally {
    session.destroy();
  }
}

/** Dark where nothing is read. */
function drawMask(mask: HTMLCanvasElement, { rows, columns, kept }: KeptTile): void {
  mask.width = columns;
  mask.height = rows;
  const context = mask.getContext('2d');
  if (context === null) return;
  context.fillStyle = 'rgb(12 14 20 / 78%)';
  context.fillRect(0, 0, columns, rows);
  for (const cell of kept) context.clearRect(cell % columns, Math.floor(cell / columns), 1, 1);
}

define('studio-kept', KeptDialog);
