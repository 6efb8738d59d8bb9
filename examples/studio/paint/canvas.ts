/** `<studio-canvas>`: a picture that forms: what is painted so far, under a mosaic of the cells that are not. */
import { html, type TemplateResult } from 'lit';
import { define, Part } from '../../common/element.ts';
import { isTiny, putPixels, type Pixels } from '../pictures/raster.ts';

/** Milliseconds in which a cell is uncovered. */
const FADE = 320;

export class FormingCanvas extends Part {
  static override properties = {
    pixels: { attribute: false },
    known: { attribute: false },
    cells: { attribute: false },
    label: { attribute: false },
  };
  declare pixels: Pixels | undefined;
  /** One a cell; undefined: none is painted. */
  declare known: Uint8Array | undefined;
  /** A side. */
  declare cells: number;
  declare label: string;
  #alpha = new Float32Array(0);
  #frame = 0;
  #last = 0;

  override render(): TemplateResult {
    return html`<div class="forming" role="img" aria-label=${this.label}>
      <canvas class="forming-picture" width="1" height="1"></canvas>
      <canvas class="forming-mask" width=${this.cells} height=${this.cells}></canvas>
    </div>`;
  }

  override updated(): void {
    const [picture, mask] = this.querySelectorAll('canvas');
    if (picture === undefined || mask === undefined) return;
    if (this.pixels !== undefined) {
      putPixels(picture, this.pixels);
      picture.classList.toggle('tiny', isTiny(this.pixels));
    }
    const count = this.cells * this.cells;
    if (this.#alpha.length !== count) this.#alpha = new Float32Array(count).fill(1);
    if (this.known === undefined) this.#alpha.fill(1);
    cancelAnimationFrame(this.#frame);
    this.#last = 0;
    this.#draw(mask, performance.now());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    cancelAnimationFrame(this.#frame);
  }

  #draw(mask: HTMLCanvasElement, now: number): void {
    const context = mask.getContext('2d');
    if (context === null) return;
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const step = this.#last === 0 ? 0 : (now - this.#last) / FADE;
    this.#last = now;
    const dark = getComputedStyle(this).colorScheme.includes('dark') && isDark(this);
    const image = context.createImageData(this.cells, this.cells);
    let moving = false;
    for (const [cell, alpha] of this.#alpha.entries()) {
      const target = this.known?.[cell] === 1 ? 0 : 1;
      const next = still || alpha < target ? target : Math.max(target, alpha - step);
      this.#alpha[cell] = next;
      moving ||= next !== target;
      // Tones of a mosaic, the same for a cell at every drawing.
      const tone = ((cell * 2654435761) >>> 0) / 2 ** 32;
      const grey = dark ? 38 + 22 * tone : 214 + 24 * tone;
      image.data.set([grey, grey, grey + (dark ? 4 : 0), Math.round(255 * next)], 4 * cell);
    }
    context.putImageData(image, 0, 0);
    if (moving) this.#frame = requestAnimationFrame((time) => this.#draw(mask, time));
  }
}

function isDark(element: Element): boolean {
  const theme = document.documentElement.dataset['theme'];
  return theme === undefined
    ? matchMedia('(prefers-color-scheme: dark)').matches
    : theme === 'dark' && element.isConnected;
}
define('studio-canvas', FormingCanvas);
