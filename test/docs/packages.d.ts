/** What the samples of the guides use of packages that are not installed here. */

/** Version 4, for `ai` 7. */
declare module '@ai-sdk/react' {
  import type { ChatTransport, UIMessage } from 'ai';

  export function useChat<Message extends UIMessage>(options: {
    readonly transport: ChatTransport<Message>;
  }): {
    readonly messages: Message[];
    readonly status: 'submitted' | 'streaming' | 'ready' | 'error';
    sendMessage(message: { readonly text: string }): Promise<void>;
  };
}

/** Electron, as far as the guide uses it; examples/electron is checked against Electron's own types. */
declare module 'electron/main' {
  import type { ElectronMain } from 'octavo/electron';

  export const app: ElectronMain['app'] & { on(event: 'window-all-closed', listener: () => void): void };
  export const protocol: ElectronMain['protocol'];
  export const ipcMain: ElectronMain['ipcMain'];
  export const utilityProcess: ElectronMain['utilityProcess'];
  export const MessageChannelMain: ElectronMain['MessageChannelMain'];
  export const powerMonitor: ElectronMain['powerMonitor'];
  export const session: ElectronMain['session'];
  export class BrowserWindow {
    constructor(options: { readonly webPreferences: object });
    loadURL(url: string): Promise<void>;
  }
}
