/**
 * `<oct-models>`: a dialog to choose a model and to manage what is kept: `show()` opens it. Needs `holder`; `abilities` are what the application wants a model for.
 * It sends `model-chosen` with the key of the choice (for the application's settings) once the model is in use.
 */
import { html, nothing, type TemplateResult } from 'lit';
import { online } from '../device/connection.ts';
import { persist, room, type Room } from '../device/storage.ts';
import { confirm, dialogFrame } from '../dialog.ts';
import { define, Part } from '../element.ts';
import { bytes } from '../format.ts';
import { icon } from '../icons.ts';
import { common } from '../messages.ts';
import { problemView } from '../problem.ts';
import { toast } from '../toasts.ts';
import { CATALOGUE, memoryOf, type Ability, type CatalogueEntry } from './catalogue.ts';
import { addressOf, keyOf, titleOf, type ModelChoice } from './choice.ts';
import type { ModelHolder } from './holder.ts';
import { progressView } from './progress.ts';
import { isStored, removeStored, storedModels, type StoredModel } from './stored.ts';

export class ModelManager extends Part {
  static override properties = {
    holder: { attribute: false },
    abilities: { attribute: false },
    contextTokens: { attribute: false },
    others: { attribute: false },
    stored: { state: true },
    space: { state: true },
    kept: { state: true },
    addressProblem: { state: true },
  };
  declare holder: ModelHolder | undefined;
  declare abilities: readonly Ability[];
  /** Tokens of the context that the application uses, for the memory that is told. */
  declare contextTokens: number | undefined;
  /** Addresses of models that the application uses for something else: they are listed, and not chosen from. */
  declare others: readonly string[];
  declare stored: readonly StoredModel[];
  declare space: Room | undefined;
  declare kept: ReadonlySet<string>;
  declare addressProblem: string;

  constructor() {
    super();
    this.abilities = ['text'];
    this.others = [];
    this.stored = [];
    this.kept = new Set();
    this.addressProblem = '';
    this.watch(online);
  }

  override willUpdate(changed: ReadonlyMap<PropertyKey, unknown>): void {
    if (changed.has('holder') && this.holder !== undefined) this.watch(this.holder.state);
  }

  show(): void {
    this.querySelector('dialog')?.showModal();
    void this.refresh();
  }

  async refresh(): Promise<void> {
    this.stored = await storedModels();
    this.space = await room();
    const kept = new Set<string>();
    for (const entry of CATALOGUE) if (await isStored({ kind: 'catalogue', entry })) kept.add(entry.id);
    this.kept = kept;
  }

  async #use(choice: ModelChoice): Promise<void> {
    const model = await this.holder?.use(choice);
    if (model !== undefined) this.send('model-chosen', keyOf(choice));
    await this.refresh();
  }

  async #remove(stored: StoredModel): Promise<void> {
    const { title, bytes: size } = stored;
    const choice = this.holder?.state.value.choice;
    const used = choice !== undefined && this.#isUsed(choice, stored);
    const agreed = await confirm({
      title: common('removeModelTitle', { name: title }),
      body: [common('removeModelBody', { size: bytes(size) }), used ? common('removeModelInUse') : ''].join(' ').trim(),
      yes: common('remove'),
      danger: true,
    });
    if (!agreed) return;
    if (used) await this.holder?.release();
    await removeStored(stored);
    toast(common('removedModel', { name: title }));
    this.send('model-removed', stored.key);
    await this.refresh();
  }

  #isUsed(choice: ModelChoice, stored: StoredModel): boolean {
    if (stored.kind === 'own') return choice.kind === 'own' && choice.name === stored.key;
    return isAt(addressOf(choice), stored);
  }

  override render(): TemplateResult {
    return dialogFrame(
      { title: common('models'), className: 'models' },
      html`<p class="hint">${common('modelIntro')}</p>
        ${this.#state()}
        <section aria-labelledby="models-recommended">
          <h3 id="models-recommended">${common('recommended')}</h3>
          <ul class="cards">
            ${CATALOGUE.filter(({ abilities }) => this.abilities.some((one) => abilities.includes(one))).map((entry) =>
              this.#entry(entry),
            )}
          </ul>
        </section>
        <section aria-labelledby="models-own">
          <h3 id="models-own">${common('ownModel')}</h3>
          ${this.#own()}
        </section>
        <section aria-labelledby="models-stored">
          <h3 id="models-stored">${common('stored')}</h3>
          ${this.#kept()}
        </section>`,
    );
  }

  #state(): TemplateResult | typeof nothing {
    const { loading, problem, model, choice } = this.holder?.state.value ?? {};
    if (loading !== undefined) {
      const label = common('modelLoading', { name: titleOf(loading.choice) });
      return html`<div class="notice" role="group" aria-label=${label}>
        <div class="grow">
          <p>${label}</p>
          ${progressView(loading.progress, label)}
        </div>
        <button class="button" @click=${() => this.holder?.cancel()}>${common('cancel')}</button>
      </div>`;
    }
    if (problem !== undefined)
      return problemView(
        problem.error,
        html`<button class="button" @click=${() => void this.#use(problem.choice)}>${common('retry')}</button>`,
      );
    if (model !== undefined && choice !== undefined)
      return html`<p class="hint device" title=${model.device.reason}>
        ${icon('chip')} ${titleOf(choice)} · ${common('deviceUsed', { device: model.device.description })}
      </p>`;
    return nothing;
  }

  #entry(entry: CatalogueEntry): TemplateResult {
    const choice: ModelChoice = { kind: 'catalogue', entry };
    const { choice: now, loading } = this.holder?.state.value ?? {};
    const used = now !== undefined && keyOf(now) === entry.id;
    const busy = loading !== undefined && keyOf(loading.choice) === entry.id;
    const here = this.kept.has(entry.id);
    const away = !here && !online.value && entry.part !== true;
    return html`<li class="card ${used ? 'chosen' : ''}">
      <div class="grow">
        <p class="card-title">${entry.title}</p>
        <p class="hint">${common(entry.note)}</p>
        <p class="hint numbers">
          ${here ? html`${bytes(entry.bytes)} ${common('onDevice')}` : common('downloadSize', { size: bytes(entry.bytes) })}
          · ${common('memorySize', { size: bytes(memoryOf(entry, this.contextTokens)) })} · ${entry.licence}
        </p>
      </div>
      ${
        used
          ? html`<span class="badge">${icon('check')} ${common('inUse')}</span>`
          : html`<button
              class="button"
              ?disabled=${busy || away}
              aria-label="${here ? common('use') : common('download')} ${entry.title}"
              @click=${() => void this.#use(choice)}
            >
              ${here ? common('use') : common('download')}
            </button>`
      }
    </li>`;
  }

  #own(): TemplateResult {
    const take = (event: Event): void => {
      const input = event.currentTarget as HTMLInputElement;
      const files = [...(input.files ?? [])];
      input.value = '';
      const main = files.find(({ name }) => !/mmproj/i.test(name)) ?? files[0];
      if (main !== undefined) void this.#use({ kind: 'own', name: main.name, files });
    };
    const submit = (event: SubmitEvent): void => {
      event.preventDefault();
      const field = (event.currentTarget as HTMLFormElement).querySelector('input');
      const address = field?.value.trim() ?? '';
      const fits = /^(https:\/\/|http:\/\/(localhost|127\.0\.0\.1)[:/]|hf:)\S+$/.test(address);
      this.addressProblem = fits ? '' : common('ownAddressBad');
      if (fits) void this.#use({ kind: 'address', address });
      else field?.focus();
    };
    return html`<div class="own">
      <label class="button file-button">
        ${icon('upload')} ${common('ownFile')}
        <input type="file" accept=".gguf" multiple class="unseen" @change=${take} />
      </label>
      <p class="hint">${common('ownFileHint')}</p>
      <form class="row" novalidate @submit=${submit}>
        <input
          class="field grow"
          type="text"
          inputmode="url"
          autocomplete="off"
          spellcheck="false"
          aria-label=${common('ownAddress')}
          aria-describedby="own-address-problem"
          aria-invalid=${this.addressProblem === '' ? 'false' : 'true'}
          placeholder=${common('ownAddressHint')}
        />
        <button class="button">${common('load')}</button>
      </form>
      <p id="own-address-problem" class="field-problem" role="status">${this.addressProblem}</p>
    </div>`;
  }

  #kept(): TemplateResult {
    const { used, quota, persisted } = this.space ?? {};
    return html`${
      this.stored.length === 0
        ? html`<p class="hint">${common('storedNone')}</p>`
        : html`<ul class="rows">
            ${this.stored.map(
              (stored) =>
                html`<li>
                  <div class="grow">
                    <p class="row-title">${stored.title}</p>
                    <p class="hint numbers">
                      ${stored.complete ? bytes(stored.bytes) : common('storedPartly', { size: bytes(stored.bytes) })}
                    </p>
                  </div>
                  ${this.#again(stored)}
                  <button
                    class="icon-button"
                    aria-label="${common('remove')}: ${stored.title}"
                    title=${common('remove')}
                    @click=${() => void this.#remove(stored)}
                  >
                    ${icon('trash')}
                  </button>
                </li>`,
            )}
          </ul>`
    }
    ${
      used === undefined || quota === undefined
        ? nothing
        : html`<div class="storage">
            <meter min="0" max=${quota} .value=${used} aria-label=${common('stored')}></meter>
            <p class="hint numbers">${common('storedUsed', { used: bytes(used), quota: bytes(quota) })}</p>
            ${
              persisted === true
                ? nothing
                : html`<p class="hint">
                    ${common('persistNot')}
                    <button class="link" @click=${() => void this.#persist()}>${common('persist')}</button>
                  </p>`
            }
          </div>`
    }`;
  }

  /** What is not recommended above is used from here. */
  #again(stored: StoredModel): TemplateResult | typeof nothing {
    const { kind, key, title } = stored;
    const choice: ModelChoice | undefined =
      kind === 'own'
        ? { kind: 'own', name: key }
        : [...CATALOGUE.map(({ source }) => source), ...this.others].some((one) => isAt(one, stored))
          ? undefined
          : { kind: 'address', address: key };
    if (choice === undefined) return nothing;
    const { choice: now, loading } = this.holder?.state.value ?? {};
    if (now !== undefined && this.#isUsed(now, stored))
      return html`<span class="badge">${icon('check')} ${common('inUse')}</span>`;
    return html`<button
      class="button small"
      ?disabled=${loading !== undefined || (kind === 'download' && !stored.complete && !online.value)}
      aria-label="${common('use')} ${title}"
      @click=${() => void this.#use(choice)}
    >
      ${common('use')}
    </button>`;
  }

  async #persist(): Promise<void> {
    if (!(await persist())) toast(common('persistNo'));
    await this.refresh();
  }
}
define('oct-models', ModelManager);

/** `hf:` addresses are kept under the address that they stand for, and folders by the address of each file. */
function isAt(address: string | undefined, { address: stored, key, title }: StoredModel): boolean {
  return address !== undefined && (address === stored || address === key || address.endsWith(`/${title}`));
}
