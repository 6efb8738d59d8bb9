/** Errors as people are told them: what happened, what can be done, and the details for those who want them. */
import { OctavoError } from 'octavo';
import { html, nothing, type TemplateResult } from 'lit';
import { icon } from './icons.ts';
import { common, type CommonKey } from './messages.ts';
import { ModelGone } from './models/holder.ts';

const TITLES: Readonly<Partial<Record<string, CommonKey>>> = {
  'StorageError/network': 'errorNetwork',
  'StorageError/quota': 'errorQuota',
  'StorageError/unavailable': 'errorNoStorage',
  'StorageError/blocked': 'errorBlocked',
  'DeviceError/out-of-memory': 'errorMemory',
  'DeviceError/lost': 'errorLost',
  'DeviceError/unavailable': 'errorDevice',
  'FileError/password': 'errorPassword',
  'FileError/truncated': 'errorTruncated',
  'FileError/malformed': 'errorMalformed',
  'FileError/unsupported': 'errorUnsupported',
  'FileError/limit': 'errorLimit',
  'ModelError/architecture': 'errorArchitecture',
  'InputError/too-long': 'errorTooLong',
  'InputError/empty': 'errorNoText',
};

export interface Problem {
  readonly title: string;
  readonly detail: string;
}

export function problemOf(error: unknown): Problem {
  if (error instanceof ModelGone) return { title: common('errorModelGone'), detail: error.message };
  if (error instanceof OctavoError) {
    const key = TITLES[`${error.name}/${error.code}`];
    return { title: key === undefined ? common('errorOther') : common(key), detail: error.message };
  }
  return { title: common('errorOther'), detail: error instanceof Error ? error.message : String(error) };
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

/** `actions`: buttons that help. */
export function problemView(error: unknown, actions: TemplateResult | typeof nothing = nothing): TemplateResult {
  const { title, detail } = problemOf(error);
  return html`<div class="problem" role="alert">
    ${icon('warning')}
    <div>
      <p class="problem-title">${title}</p>
      <details>
        <summary>${common('details')}</summary>
        <p>${detail}</p>
      </details>
      ${actions === nothing ? nothing : html`<div class="row">${actions}</div>`}
    </div>
  </div>`;
}
