/** What the whole application shares: its settings, its model, and what is shown. */
import { setLanguage } from '../common/i18n.ts';
import { ScreenLock } from '../common/device/wake-lock.ts';
import { NANO } from '../common/models/catalogue.ts';
import { downloadConsent } from '../common/models/consent.ts';
import { keyOf } from '../common/models/choice.ts';
import { ModelHolder } from '../common/models/holder.ts';
import { Observable } from '../common/observable.ts';
import { amount, flag, oneOf, Settings, text } from '../common/settings.ts';

/** The largest seed and number of variants that a painting takes. */
export const LAST_SEED = 2 ** 32 - 1;
export const MOST_VARIANTS = 4;

export const settings = new Settings('octavo-studio', {
  model: text(NANO),
  theme: oneOf('auto', 'light', 'dark'),
  language: oneOf('auto', 'en', 'de'),
  device: oneOf('auto', 'wasm', 'webgpu'),
  /** How much memory conversations take. */
  preset: oneOf('auto', 'exact', 'balanced', 'small'),
  /** Keep the screen on during long work, and let it rest while the page is hidden. */
  awake: flag(true),
  rest: flag(true),
  /** The share of a picture's tokens that is read. */
  share: amount(1, 0.05, 1),
  /** What is open. */
  chat: text(''),
  editing: text(''),
  /** How pictures are painted. 0: as the model's file says. */
  size: amount(0, 0, 4096),
  variants: amount(1, 1, MOST_VARIANTS),
  seed: amount(7, 0, LAST_SEED),
  fixedSeed: flag(false),
  rounds: amount(0, 0, 4096),
  guidance: amount(0, 0, 20),
  /** Words that were not sent yet. */
  askDraft: text(''),
  paintDraft: text(''),
  editDraft: text(''),
});

export const holder = new ModelHolder({ device: () => settings.value.device, consent: downloadConsent });
export const screenLock = new ScreenLock();

/** Whether the model in use is the bundled one, for which the application has examples. */
export function isNano(): boolean {
  const { choice } = holder.state.value;
  return choice !== undefined && keyOf(choice) === NANO;
}

function followAppearance({ theme, language }: typeof settings.value): void {
  if (theme === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
  setLanguage(language);
}
followAppearance(settings.value);
settings.subscribe(followAppearance);

export const VIEWS = ['ask', 'paint', 'edit', 'pictures'] as const;
export type View = (typeof VIEWS)[number];

export interface Route {
  readonly view: View;
  /** The picture that is shown large. */
  readonly picture: string | undefined;
}

function readRoute(): Route {
  const [name, picture] = location.hash.replace(/^#/, '').split('/');
  const view = VIEWS.find((one) => one === name) ?? 'ask';
  return { view, picture: picture === undefined || picture === '' ? undefined : picture };
}

export const route = new Observable<Route>(readRoute());
addEventListener('hashchange', () => (route.value = readRoute()));

export function open(view: View, picture?: string): void {
  const hash = picture === undefined ? `#${view}` : `#${view}/${picture}`;
  if (location.hash === hash) return;
  location.hash = hash;
  route.value = readRoute();
}
