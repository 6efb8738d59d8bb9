/** How far a painting is, with what can be done about it. */
import { html, nothing, type TemplateResult } from 'lit';
import { duration } from '../../common/format.ts';
import { icon } from '../../common/icons.ts';
import { common } from '../../common/messages.ts';
import { problemView } from '../../common/problem.ts';
import { holder } from '../context.ts';
import { say } from '../texts.ts';
import { work, type WorkState } from './work.ts';

function words({ job, progress, rest, running }: WorkState): string {
  if (rest === 'hidden') return say('pausedHidden');
  if (rest === 'user') return say('paused');
  if (rest === 'model' && holder.state.value.model !== undefined) return say('pausedOther');
  if (!running || progress === undefined) return say('waiting');
  const { iteration, iterations, picture, count, secondsLeft } = progress;
  return [
    ...(count > 1 ? [say('pictureNumber', { number: picture + 1, count })] : []),
    say('round', { done: Math.min(iteration + 1, iterations), all: iterations }),
    ...(secondsLeft === undefined || job === undefined ? [] : [say('left', { time: duration(secondsLeft) })]),
  ].join(' · ');
}

export function workProgress(state: WorkState): TemplateResult | typeof nothing {
  const { job, progress, rest, running, problem } = state;
  if (job === undefined) return nothing;
  if (problem !== undefined)
    return problemView(
      problem,
      html`<button class="button" @click=${() => void work.goOn()}>${common('retry')}</button>
        <button class="button quiet" @click=${() => void work.discard()}>${say('discard')}</button>`,
    );
  const { model } = holder.state.value;
  const other = rest === 'model' && model !== undefined && model.fingerprint !== job.fingerprint;
  const share = progress === undefined ? undefined : progress.tokens / progress.totalTokens;
  return html`<div class="work" aria-busy=${running ? 'true' : 'false'}>
    <progress
      aria-label=${job.request.kind === 'paint' ? say('painting') : say('editing')}
      max="1"
      .value=${share ?? 0}
    ></progress>
    <div class="row">
      <p class="hint numbers grow" role="status">${words(state)}</p>
      ${
        running
          ? html`<button
              class="icon-button"
              aria-label=${say('pause')}
              title=${say('pause')}
              @click=${() => work.pause()}
            >
              ${icon('pause')}
            </button>`
          : other
            ? html`<button class="button quiet" @click=${() => void work.anew()}>${say('beginAnew')}</button>`
            : html`<button class="button quiet" ?disabled=${model === undefined} @click=${() => void work.goOn()}>
                ${icon('play')} ${say('goOn')}
              </button>`
      }
      <button
        class="icon-button"
        aria-label=${say('discard')}
        title=${say('discard')}
        @click=${() => void work.discard()}
      >
        ${icon('close')}
      </button>
    </div>
  </div>`;
}
