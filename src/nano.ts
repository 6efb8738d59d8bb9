/**
 * The URL of nano, the small model of this package that reads, sees, paints and edits: `Octavo.load(nano)`. Bundlers include the file where this module is
 * imported.
 */
export const nano: string = new URL('../models/nano/nano.gguf', import.meta.url).href;
