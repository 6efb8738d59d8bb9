/** `<studio-ask>`: the conversation and the line to ask in. */
import { html, nothing, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { define, Part } from '../../common/element.ts';
import { duration, number, percent } from '../../common/format.ts';
import { icon } from '../../common/icons.ts';
import { common } from '../../common/messages.ts';
import { problemView } from '../../common/problem.ts';
import { toast } from '../../common/toasts.ts';
import { SAMPLES } from '../chooser.ts';
import { composer, suggestions } from '../composer.ts';
import { holder, isNano, settings } from '../context.ts';
import { addressOf, isTiny, type Photo } from '../pictures/raster.ts';
import { NANO_FACTS, NANO_QUESTIONS, say } from '../texts.ts';
import { pictures } from '../pictures/pictures.ts';
import type { Message } from './chats.ts';
import { talk } from './talk.ts';

/** Pixels from the end within which new text is followed. */
const NEAR = 96;

class AskView extends Part {
  static override properties = { choosing: { state: true }, behind: { state: true } };
  declare choosing: boolean;
  /** Whether the reader has scrolled away from the newest message. */
  declare behind: boolean;
  #count = -1;

  constructor() {
    super();
    this.choosing = false;
    this.behind = false;
    this.watch(talk.state, holder.state, settings, pictures);
  }

  override render(): TemplateResult {
    const { chat, answering, problem, attached } = talk.state.value;
    const { model } = holder.state.value;
    const { messages } = chat;
    const begun = messages.length > 0;
    const sees = model?.capabilities.see ?? false;
    return html`
      <div
        class="scroll conversation"
        tabindex="0"
        role="region"
        aria-label=${say('conversation')}
        @scroll=${() => this.#scrolled()}
      >
        ${begun ? this.#messages(messages, answering) : this.#welcome(sees)}
        ${
          problem === undefined
            ? nothing
            : html`<div class="column">
                ${problemView(
                  problem,
                  html`<button class="button" @click=${() => void talk.again()}>${common('retry')}</button>`,
                )}
              </div>`
        }
      </div>
      ${
        this.behind
          ? html`<button class="icon-button to-newest" aria-label=${say('toNewest')} @click=${() => this.#follow()}>
              ${icon('down')}
            </button>`
          : nothing
      }
      <div class="dock">
        ${composer({
          label: say('message'),
          placeholder: say('messagePlaceholder'),
          value: settings.value.askDraft,
          send: { label: say('send'), icon: 'arrowUp', disabled: model === undefined },
          stop: answering === undefined ? undefined : { label: say('stop'), run: () => talk.stop() },
          before: html`<button
            type="button"
            class="icon-button"
            aria-label=${say('addPicture')}
            title=${sees || model === undefined ? say('addPicture') : say('blindAsk')}
            aria-expanded=${this.choosing ? 'true' : 'false'}
            ?disabled=${!sees}
            @click=${() => (this.choosing = !this.choosing)}
          >
            ${icon('add')}
          </button>`,
          above: this.#above(begun, attached, sees),
          onInput: (askDraft) => settings.set({ askDraft }),
          onSend: (text) => this.#send(text),
        })}
      </div>
    `;
  }

  override updated(): void {
    const count = talk.state.value.chat.messages.length;
    const list = this.querySelector('.conversation');
    if (list === null) return;
    // A new message is always shown; text that grows only where its end is in view.
    if (count !== this.#count || !this.behind) list.scrollTop = list.scrollHeight;
    this.#count = count;
  }

  #send(text: string): void {
    settings.set({ askDraft: '' });
    this.choosing = false;
    this.behind = false;
    void talk.ask(text);
  }

  #take(photo: Photo): void {
    talk.attach(photo);
    this.choosing = false;
    void this.updateComplete.then(() => this.querySelector('textarea')?.focus());
  }

  #welcome(sees: boolean): TemplateResult {
    const { model } = holder.state.value;
    const hint = model === undefined ? '' : isNano() ? say('nanoAsk') : sees ? '' : say('blindAsk');
    return html`<div class="welcome">
      <div class="welcome-art" aria-hidden="true">${icon('chat')}</div>
      <h2>${say('askTitle')}</h2>
      <p>${say('askIntro')}</p>
      ${hint === '' ? nothing : html`<p class="hint">${hint}</p>`}
      ${
        sees || model === undefined
          ? html`<studio-chooser
              sample=${isNano() || model === undefined ? SAMPLES.see : ''}
              @picture=${(event: CustomEvent<Photo>) => this.#take(event.detail)}
            ></studio-chooser>`
          : nothing
      }
    </div>`;
  }

  #above(begun: boolean, attached: Photo | undefined, sees: boolean): TemplateResult {
    const chips = isNano() && settings.value.askDraft === '' && talk.state.value.answering === undefined;
    return html`${
      this.choosing && begun
        ? html`<studio-chooser
            sample=${isNano() ? SAMPLES.see : ''}
            @picture=${(event: CustomEvent<Photo>) => this.#take(event.detail)}
          ></studio-chooser>`
        : nothing
    }
    ${
      attached === undefined
        ? nothing
        : html`<div class="attached">
            <button
              class="attached-picture"
              type="button"
              aria-label=${say('kept')}
              @click=${() => this.send('kept', attached)}
            >
              <img src=${addressOf(attached.blob)} alt="" class=${isTiny(attached) ? 'tiny' : ''} />
            </button>
            <button class="button quiet" type="button" @click=${() => this.send('kept', attached)}>
              ${icon('panel')} ${say('kept')}
              ${settings.value.share < 1 ? html`<span class="hint numbers">${percent(settings.value.share)}</span>` : nothing}
            </button>
            <button
              class="icon-button"
              type="button"
              aria-label=${say('takeAway')}
              @click=${() => talk.attach(undefined)}
            >
              ${icon('close')}
            </button>
          </div>`
    }
    ${
      chips && (attached !== undefined || (begun && this.#last()?.role === 'assistant' && this.#seen()))
        ? suggestions(NANO_QUESTIONS, (text) => this.#send(text))
        : chips && !begun && sees
          ? suggestions([NANO_FACTS], (text) => this.#send(text))
          : nothing
    }`;
  }

  #last(): Message | undefined {
    return talk.state.value.chat.messages.at(-1);
  }

  #seen(): boolean {
    return talk.state.value.chat.messages.some(({ picture }) => picture !== undefined);
  }

  #messages(
    messages: readonly Message[],
    answering: { readonly text: string; readonly read: number } | undefined,
  ): TemplateResult {
    const last = messages.length - 1;
    return html`<ol class="column messages" aria-live="off">
        ${repeat(
          messages,
          ({ id }) => id,
          (message, index) => this.#message(message, index === last && answering === undefined),
        )}
        ${
          answering === undefined
            ? nothing
            : html`<li class="message assistant" aria-busy="true">
                <span class="unseen">${say('answer')}</span>
                ${
                  answering.text.trim() === ''
                    ? html`<p class="hint wait">
                        <span class="spinner" aria-hidden="true"></span>
                        ${answering.read > 0 && answering.read < 1 ? say('reading', { share: percent(answering.read) }) : say('thinking')}
                      </p>`
                    : html`<p class="words">${answering.text.trimStart()}</p>`
                }
              </li>`
        }
      </ol>
      <p class="unseen" role="status">
        ${answering === undefined ? (messages[last]?.role === 'assistant' ? messages[last].text : '') : ''}
      </p>`;
  }

  #message({ role, text, picture, stopped, measured }: Message, newest: boolean): TemplateResult {
    return html`<li class="message ${role}">
      <span class="unseen">${role === 'user' ? say('you') : say('answer')}</span>
      ${
        picture === undefined
          ? nothing
          : html`<button class="message-picture" aria-label=${say('kept')} @click=${() => this.send('kept', picture)}>
              <img
                src=${addressOf(picture.blob)}
                width=${picture.width}
                height=${picture.height}
                alt=${say('pictureOf', { width: picture.width, height: picture.height })}
                class=${isTiny(picture) ? 'tiny' : ''}
              />
            </button>`
      }
      ${text.trim() === '' ? nothing : html`<p class="words">${text.trim()}</p>`}
      ${stopped === true ? html`<p class="hint">${say('stopped')}</p>` : nothing}
      ${
        role === 'assistant'
          ? html`<div class="message-tools">
              <button
                class="icon-button"
                aria-label=${say('copy')}
                title=${say('copy')}
                @click=${() => void copy(text.trim())}
              >
                ${icon('copy')}
              </button>
              ${
                newest
                  ? html`<button
                      class="icon-button"
                      aria-label=${say('again')}
                      title=${say('again')}
                      @click=${() => void talk.again()}
                    >
                      ${icon('reload')}
                    </button>`
                  : nothing
              }
              ${
                measured === undefined
                  ? nothing
                  : html`<span class="hint numbers"
                      >${say('firstWord', { time: time(measured.first) })}
                      ${measured.rate > 0 ? `· ${say('speed', { rate: number(measured.rate) })}` : ''}</span
                    >`
              }
            </div>`
          : nothing
      }
    </li>`;
  }

  #scrolled(): void {
    const list = this.querySelector('.conversation');
    if (list !== null) this.behind = list.scrollHeight - list.scrollTop - list.clientHeight > NEAR;
  }

  #follow(): void {
    this.behind = false;
    const list = this.querySelector('.conversation');
    list?.scrollTo({ top: list.scrollHeight, behavior: 'smooth' });
  }
}

/** Milliseconds, or seconds where they are many. */
export function time(milliseconds: number): string {
  return milliseconds < 1000
    ? `${number(milliseconds)} ms`
    : milliseconds < 60_000
      ? `${number(milliseconds / 1000, 1)} s`
      : duration(milliseconds / 1000);
}

async function copy(text: string): Promise<void> {
  await navigator.clipboard.writeText(text);
  toast(say('copied'));
}
define('studio-ask', AskView);
