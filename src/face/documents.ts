/** What opens documents, as the platform gives it: pages that open none do not download it. */
import type { DocumentSource, OpenOptions } from '../document/options.ts';
import type { OctavoDocument } from './document.ts';

export interface Documents {
  openDocument(source: DocumentSource, options: OpenOptions): Promise<OctavoDocument>;
}
