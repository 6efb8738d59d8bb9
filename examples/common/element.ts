/**
 * The base of all elements: Lit without shadow roots, so that one style sheet styles everything and labels, descriptions and live regions may point across elements.
 */
import { LitElement } from 'lit';
import { language } from './i18n.ts';
import { Watching, type Observable } from './observable.ts';

export abstract class Part extends LitElement {
  constructor() {
    super();
    this.watch(language);
  }

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  /** Renders again whenever one of these changes. */
  protected watch(...observables: readonly Pick<Observable<unknown>, 'subscribe'>[]): void {
    this.addController(new Watching(this, ...observables));
  }

  /** Sends an event to whatever holds the element. */
  protected send(name: string, detail?: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }
}

/** Defines an element once, also where two bundles bring it. */
export function define(name: string, element: CustomElementConstructor): void {
  if (customElements.get(name) === undefined) customElements.define(name, element);
}
