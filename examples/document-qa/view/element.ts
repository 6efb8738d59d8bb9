/** The base of this application's elements: they are given the workspace, and render again when one of the observables of it that they name changes. */
import { Part } from '../../common/element.ts';
import type { Observable } from '../../common/observable.ts';
import type { Workspace } from '../state/workspace.ts';

export abstract class WorkspacePart extends Part {
  static override properties: Record<string, object> = { workspace: { attribute: false } };
  declare workspace: Workspace;
  #watched = false;

  /** What of the workspace is shown. */
  protected abstract shown(workspace: Workspace): readonly Pick<Observable<unknown>, 'subscribe'>[];

  override willUpdate(_changed: ReadonlyMap<PropertyKey, unknown>): void {
    if (this.#watched || this.workspace === undefined) return;
    this.#watched = true;
    this.watch(...this.shown(this.workspace));
  }
}
