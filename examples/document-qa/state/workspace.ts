/** All that the elements of the application share. */
import { Octavo, type OctavoModel } from 'octavo';
import { isMetered } from '../../common/device/connection.ts';
import { ScreenLock } from '../../common/device/wake-lock.ts';
import { setLanguage } from '../../common/i18n.ts';
import { choiceOf } from '../../common/models/choice.ts';
import { downloadConsent, isLargeDownload } from '../../common/models/consent.ts';
import { ModelHolder } from '../../common/models/holder.ts';
import { Observable } from '../../common/observable.ts';
import { problemOf } from '../../common/problem.ts';
import { toast } from '../../common/toasts.ts';
import { t } from '../messages.ts';
import { Asker } from './asker.ts';
import { Exchanges } from './exchanges.ts';
import { Meaning } from './meaning.ts';
import { EMBEDDER, settings } from './settings.ts';
import { Shelf } from './shelf.ts';

/** A place in a document that is shown beside the conversation. */
export interface Place {
  readonly name: string;
  readonly page: number;
  /** What is marked; none for a page as a whole. */
  readonly range: readonly [start: number, end: number] | undefined;
  /** To show the same place again. */
  readonly turn: number;
  /** The words, where the document has changed since. */
  readonly quote?: string | undefined;
}

export class Workspace {
  readonly models = new ModelHolder({
    contextWindow: (choice) => {
      const { context } = settings.value;
      if (context === 0) return undefined;
      return choice.kind === 'catalogue' ? Math.min(context, choice.entry.window) : context;
    },
    device: () => settings.value.device,
    consent: downloadConsent,
  });
  readonly shelf = new Shelf();
  readonly exchanges = new Exchanges();
  readonly screen = new ScreenLock();
  readonly asker = new Asker(this.shelf, this.models, this.exchanges, this.screen);
  /** The name of the document that is asked; '' for all. */
  readonly scope = new Observable(settings.value.open);
  /** Undefined where only the conversation is shown. */
  readonly place = new Observable<Place | undefined>(undefined);
  readonly #meaning = new Meaning<OctavoModel>({
    wanted: () => settings.value.meaning,
    allowed: async () =>
      !isMetered() || (await Octavo.availability(EMBEDDER.source).catch(() => 'unavailable')) === 'available',
    load: (signal) => Octavo.load(EMBEDDER.source, { quantize: 'q8', signal }),
    destroy: (embedder) => embedder.destroy(),
    open: (embedder) => this.shelf.open(embedder),
    refused: (error) => {
      if (error !== undefined) toast(problemOf(error).title, { kind: 'error' });
      settings.set({ meaning: false });
    },
  });
  #turn = 0;

  constructor() {
    const apply = (): void => {
      setLanguage(settings.value.language);
      if (settings.value.theme === 'auto') delete document.documentElement.dataset['theme'];
      else document.documentElement.dataset['theme'] = settings.value.theme;
    };
    apply();
    settings.subscribe(apply);
    let { meaning, context, device } = settings.value;
    settings.subscribe((now) => {
      if (now.meaning !== meaning) void this.#meaning.apply();
      if (now.context !== context || now.device !== device) void this.loadModel();
      ({ meaning, context, device } = now);
    });
    let heard: OctavoModel | undefined;
    this.models.state.subscribe(({ model }) => {
      if (model === heard) return;
      heard = model;
      void model?.notKept.then((error) => toast(t('notKept', { problem: problemOf(error).title })));
    });
    this.scope.subscribe((name) => {
      settings.set({ open: name });
      void this.exchanges.show(name);
    });
  }

  /** Opens the documents first, since they can be read and searched without a model. */
  async start(): Promise<void> {
    void this.exchanges.show(this.scope.value);
    await this.#meaning.apply();
    if (this.scope.value !== '' && this.shelf.entry(this.scope.value) === undefined) this.scope.value = '';
    // A large model that the browser has removed is not downloaded unasked.
    const choice = choiceOf(settings.value.model);
    if (await isLargeDownload(choice)) this.models.miss(choice);
    else await this.loadModel();
  }

  async loadModel(): Promise<void> {
    await this.models.use(choiceOf(settings.value.model));
  }

  /** Shows a place beside the conversation. */
  show(name: string, page: number, range?: readonly [number, number], quote?: string): void {
    this.place.value = { name, page, range, turn: ++this.#turn, quote };
  }

  open(name: string): void {
    this.scope.value = name;
    if (name === '') this.place.value = undefined;
    else if (this.place.value !== undefined && this.place.value.name !== name) this.show(name, 1);
  }
}
