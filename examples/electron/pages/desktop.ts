/**
 * What makes the document application a desktop program: documents that the system opens arrive where an installed web application gets them, and commands of
 * the menu are the events that its own buttons send. In a browser none of this does anything.
 */
import { onDesktop, type OpenedFile } from 'octavo/electron/renderer';

type Consumer = (launch: { readonly files: readonly { getFile(): Promise<File> }[] }) => void;

const handleOf = ({ address, name }: OpenedFile): { getFile(): Promise<File> } => ({
  getFile: async () => new File([await (await fetch(address)).blob()], name),
});

let consumer: Consumer | undefined;
const waiting: (readonly OpenedFile[])[] = [];
const open = (files: readonly OpenedFile[]): void => {
  if (consumer === undefined) waiting.push(files);
  else consumer({ files: files.map(handleOf) });
};

Object.defineProperty(globalThis, 'launchQueue', {
  configurable: true,
  value: {
    setConsumer(given: Consumer) {
      consumer = given;
      for (const files of waiting.splice(0)) open(files);
    },
  },
});

onDesktop((event) => {
  if (event.kind === 'open') open(event.files);
  if (event.kind === 'command') document.querySelector('.app')?.dispatchEvent(new CustomEvent(event.name));
});
