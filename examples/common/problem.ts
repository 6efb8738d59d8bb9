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
    return { title: key === undefined ? common('errorOther') : common(key), detail: asSentence(error.message) };
  }
  return { title: common('errorOther'), detail: error instanceof Error ? error.message : String(error) };
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

/** What is said of a document that could not be read, by the code that is kept of its error. */
export function problemOfDocument(code: string | undefined): string {
  return common(TITLES[`FileError/${code}`] ?? TITLES[`InputError/${code}`] ?? 'errorOther');
}

/** A message of the SDK as a sentence of its own; names of files in front stay as they are. */
export function asSentence(text: string): string {
  const begun = /^[a-z]+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.!?…)]$/.test(begun) ? begun : `${begun}.`;
}

/** `actions`: buttons that help. */
export function problemView(error: unknown, actions: TemplateResult | typeof nothing = nothing): TemplateResult {
  const { title, detail } = problemOf(error);
  return html`<div class="problem" role="alert">
    ${icon('warning')}
    <div>
      <p class="problem-title">${title}</p>
      ${detailsView(detail)} ${actions === nothing ? nothing : html`<div class="row">${actions}</div>`}
    </div>
  </div>`;
}

/** What programmers are told, folded. */
export function detailsView(detail: string): TemplateResult {
  return html`<details>
    <summary>${common('details')}</summary>
    <p>${detail}</p>
  </details>`;
}
