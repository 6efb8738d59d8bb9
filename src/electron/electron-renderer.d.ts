/** The part of Electron's module that the preload script uses. */
declare module 'electron' {
  export const contextBridge: { exposeInMainWorld(name: string, api: unknown): void };
  export const ipcRenderer: {
    on(
      channel: string,
      listener: (event: { readonly ports: readonly MessagePort[] }, ...args: unknown[]) => void,
    ): void;
    invoke(channel: string, ...args: unknown[]): Promise<unknown>;
  };
}
