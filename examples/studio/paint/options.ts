/** `<studio-brush>`: how a picture is painted: size, variants, seed, rounds, guidance. */
import { html, nothing, type TemplateResult } from 'lit';
import { define, Part } from '../../common/element.ts';
import { number } from '../../common/format.ts';
import { icon } from '../../common/icons.ts';
import { holder, LAST_SEED, MOST_VARIANTS, settings } from '../context.ts';
import { say } from '../texts.ts';
import type { Request } from './job.ts';

export function randomSeed(): number {
  // Short enough to be remembered.
  return Math.floor(Math.random() * 100_000);
}

/** What the settings ask of the model in use; sizes and rounds that it does not have are left to it. */
export function brush(): Pick<Request, 'seed' | 'size' | 'steps' | 'guidance'> {
  const { fixedSeed, seed, size, rounds, guidance } = settings.value;
  const { painting } = holder.model ?? {};
  const side = painting?.sizes.includes(size) === true ? size : painting?.size;
  const cells = painting === undefined || side === undefined ? 0 : (side / painting.patch) ** 2;
  return {
    seed: fixedSeed ? seed : randomSeed(),
    size: side,
    steps: rounds >= 1 && rounds <= cells ? rounds : undefined,
    guidance: guidance > 0 ? guidance : undefined,
  };
}

class Brush extends Part {
  static override properties = { editing: { type: Boolean } };
  /** Edits are as large as their source, and one at a time. */
  declare editing: boolean;

  constructor() {
    super();
    this.editing = false;
    this.watch(settings, holder.state);
  }

  override render(): TemplateResult {
    const { painting } = holder.state.value.model ?? {};
    if (painting === undefined) return html``;
    const { size, variants, seed, fixedSeed, rounds, guidance } = settings.value;
    const side = painting.sizes.includes(size) ? size : painting.size;
    const cells = (side / painting.patch) ** 2;
    return html`<div class="brush">
      ${
        this.editing
          ? nothing
          : this.#choice(
              'size',
              say('size'),
              painting.sizes.map((one) => [one, say('pixels', { size: one })]),
              side,
              (one) => settings.set({ size: one }),
            )
      }
      ${
        this.editing
          ? nothing
          : this.#choice(
              'variants',
              say('variants'),
              Array.from({ length: MOST_VARIANTS }, (_, i) => [i + 1, String(i + 1)]),
              variants,
              (one) => settings.set({ variants: one }),
            )
      }
      <div class="brush-row">
        <label for="seed">${say('seed')}</label>
        <div class="row">
          <input
            id="seed"
            class="field numbers"
            type="number"
            inputmode="numeric"
            min="0"
            max=${LAST_SEED}
            step="1"
            .value=${String(seed)}
            @change=${(event: Event) => {
              const value = Math.trunc(Number((event.currentTarget as HTMLInputElement).value));
              if (value >= 0 && value <= LAST_SEED) settings.set({ seed: value, fixedSeed: true });
            }}
          />
          <button
            class="icon-button"
            type="button"
            aria-label=${say('newSeed')}
            title=${say('newSeed')}
            @click=${() => settings.set({ seed: randomSeed(), fixedSeed: true })}
          >
            ${icon('reload')}
          </button>
        </div>
        <label class="row switch-row">
          <input
            class="switch"
            type="checkbox"
            .checked=${fixedSeed}
            @change=${(event: Event) => settings.set({ fixedSeed: (event.currentTarget as HTMLInputElement).checked })}
          />
          ${say('fixedSeed')}
        </label>
        <p class="hint">${say('seedHint')}</p>
      </div>
      ${this.#slider('rounds', say('rounds'), { least: 1, most: Math.min(64, cells), step: 1 }, rounds >= 1 && rounds <= cells ? rounds : undefined, painting.steps, (value) => settings.set({ rounds: value }))}
      ${this.#slider('guidance', say('guidance'), { least: 1, most: 8, step: 0.5 }, guidance > 0 ? guidance : undefined, painting.guidance, (value) => settings.set({ guidance: value }))}
    </div>`;
  }

  #choice(
    name: string,
    label: string,
    options: readonly (readonly [number, string])[],
    chosen: number,
    choose: (value: number) => void,
  ): TemplateResult {
    return html`<fieldset class="brush-row">
      <legend>${label}</legend>
      <div class="segments">
        ${options.map(
          ([value, text]) =>
            html`<label class="segment">
              <input type="radio" name=${name} .checked=${value === chosen} @change=${() => choose(value)} /><span
                >${text}</span
              >
            </label>`,
        )}
      </div>
    </fieldset>`;
  }

  /** `given` undefined: the model's own. */
  #slider(
    name: string,
    label: string,
    { least, most, step }: { readonly least: number; readonly most: number; readonly step: number },
    given: number | undefined,
    own: number,
    choose: (value: number) => void,
  ): TemplateResult {
    const value = given ?? own;
    return html`<div class="slider">
      <label for=${name}>${label}</label>
      <output class="numbers" for=${name}>
        ${number(value, 1)}
        ${
          given === undefined
            ? html`<span class="hint">(${say('asModel')})</span>`
            : html`<button class="link" type="button" @click=${() => choose(0)}>${say('asModel')}</button>`
        }
      </output>
      <input
        id=${name}
        type="range"
        min=${least}
        max=${most}
        step=${step}
        .value=${String(value)}
        .style=${`--at: ${(Math.min(value, most) - least) / Math.max(1, most - least)}`}
        @input=${(event: Event) => choose(Number((event.currentTarget as HTMLInputElement).value))}
      />
    </div>`;
  }
}
define('studio-brush', Brush);
