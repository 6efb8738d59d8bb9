/** What opens documents, as the platform gives it: pages that open none do not download it. */
import type { DocumentSource } from '../document/options.ts';
import type { OctavoDocument, OpenDocumentOptions } from './document.ts';

export interface Documents {
  openDocument(source: DocumentSource, options: OpenDocumentOptions): Promise<OctavoDocument>;
}
