/**
 * The URL of nano-text, the small model for documents in this package: `Octavo.load(nanoText)`. Bundlers include the file
 * where this module is imported.
 */
export const nanoText: string = new URL('../models/nano-text/nano-text.gguf', import.meta.url).href;
