/** The URL of nano, the small model that comes with the package: `Octavo.load(nano)`. Bundlers carry the file along where this is imported. */
export const nano: string = new URL('../models/nano/nano.gguf', import.meta.url).href;
