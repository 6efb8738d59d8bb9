/** What is shown where the model in use lacks what a view needs. */
import type { OctavoModel } from 'octavo';
import { html, nothing, type TemplateResult } from 'lit';
import { icon } from '../common/icons.ts';
import { asSentence } from '../common/problem.ts';
import { NANO } from '../common/models/catalogue.ts';
import { choiceOf } from '../common/models/choice.ts';
import { holder, settings } from './context.ts';
import { say } from './texts.ts';

export function cannot(title: string, { capabilities: { missing } }: OctavoModel): TemplateResult {
  const use = async (): Promise<void> => {
    if ((await holder.use(choiceOf(NANO))) !== undefined) settings.set({ model: NANO });
  };
  return html`<div class="scroll">
    <div class="welcome">
      <div class="welcome-art" aria-hidden="true">${icon('info')}</div>
      <h2>${title}</h2>
      <p>${say('cannotHint')}</p>
      ${missing.length === 0 ? nothing : html`<p class="hint">${missing.map(asSentence).join(' ')}</p>`}
      <button class="button primary large" @click=${() => void use()}>${say('useNano')}</button>
    </div>
  </div>`;
}
