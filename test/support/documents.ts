/** Documents in tests: from the sources, as Node opens them, with nothing kept. */
import type { OctavoDocument, OpenDocumentOptions } from '../../src/face/document.ts';
import type { DocumentSource } from '../../src/document/options.ts';
import { nodeDocuments, nodeEnvironment } from '../../src/platform/node-documents.ts';

const documents = nodeDocuments({ ...nodeEnvironment, records: async () => undefined });

export function openTest(source: DocumentSource, options: OpenDocumentOptions = {}): Promise<OctavoDocument> {
  return documents.openDocument(source, options);
}

export const textFile = (text: string, name: string): File => new File([text], name);
