/** In place of `virtual:pwa-register`: the program's files are on the disk, and need no service worker to work without a network. */
export const registerSW = (): (() => Promise<void>) => async () => {};
