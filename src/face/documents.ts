/** What opens documents, as the platform gives it: pages that open none do not download it. */
import type { DocumentSource } from '../document/options.ts';
import type { LibraryOptions, OctavoLibrary } from './library.ts';
import type { OctavoDocument, OpenDocumentOptions } from './document.ts';

export interface Documents {
  openLibrary(name: string, options: LibraryOptions): Promise<OctavoLibrary>;
  openDocument(source: DocumentSource, options: OpenDocumentOptions): Promise<OctavoDocument>;
}
