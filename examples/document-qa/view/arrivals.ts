/** Documents that come by drop, paste, the file dialog, or from the system (where the application is installed). */
import { toast } from '../../common/toasts.ts';
import { problemOf } from '../../common/problem.ts';
import { t } from '../messages.ts';
import type { Workspace } from '../state/workspace.ts';

export const ACCEPTED =
  '.pdf,.txt,.md,.markdown,.html,.htm,.csv,.docx,.png,.jpg,.jpeg,.webp,.avif,text/*,application/pdf,image/*';
/** Files of one drop; a folder dropped by mistake is not read file by file. */
const MOST_FILES = 200;

interface LaunchQueue {
  setConsumer(consumer: (launch: { readonly files: readonly FileSystemFileHandle[] }) => void): void;
}

/** Adds files one after the other, and opens what was added: the document, or all of them where there are several. What cannot be added is said by name. */
export async function addFiles(workspace: Workspace, files: readonly File[]): Promise<void> {
  const added: string[] = [];
  for (const file of files.slice(0, MOST_FILES)) {
    try {
      const before = workspace.shelf.state.value.entries.find(
        ({ name, state }) => name === file.name && state !== 'failed',
      );
      const entry = await workspace.shelf.add(file);
      if (entry.id === before?.id) toast(t('same', { name: entry.name }));
      else added.push(entry.name);
      workspace.open(entry.name);
    } catch (error) {
      toast(t('addFailed', { name: file.name, problem: problemOf(error).title }), { kind: 'error' });
    }
  }
  if (files.length > MOST_FILES) toast(t('tooManyFiles', { most: MOST_FILES, count: files.length }), { kind: 'error' });
  // One document opens, and shows that it is there.
  if (added.length > 1) {
    workspace.open('');
    void tellRead(workspace, added);
  }
}

/** Says how many of several documents are there when they were read, and which could not be. One that needs its password says so itself. */
async function tellRead({ shelf }: Workspace, names: readonly string[]): Promise<void> {
  const entries = await Promise.all(names.map((name) => shelf.read(name, new AbortController().signal)));
  const there = entries.filter((entry) => entry !== undefined);
  const failed = there.filter(({ state, code }) => state === 'failed' && code !== 'password');
  const count = there.length - failed.length;
  if (count > 0) toast(t('added', { count }));
  if (failed.length > 0) {
    const list = failed.map(({ name }) => name).join(', ');
    toast(t('notRead', { count: failed.length, names: list }), { kind: 'error' });
  }
}

/** Text becomes a document of its own; what is pasted into a field stays there. */
export function pastedFiles(event: ClipboardEvent): readonly File[] {
  const { target, clipboardData } = event;
  if (clipboardData === null) return [];
  const files = [...clipboardData.files];
  if (files.length > 0) return files;
  if (target instanceof Element && target.closest('input, textarea, dialog') !== null) return [];
  const text = clipboardData.getData('text/plain');
  if (text.trim() === '') return [];
  const [first = ''] = text.trim().split('\n');
  const title =
    first
      .replace(/[^\p{L}\p{N} ]/gu, '')
      .trim()
      .slice(0, 40) || t('pasted');
  return [new File([text], `${title}.txt`, { type: 'text/plain' })];
}

/** Files with which the system opens the installed application. */
export function followLaunches(workspace: Workspace): void {
  const { launchQueue } = globalThis as { readonly launchQueue?: LaunchQueue };
  launchQueue?.setConsumer(({ files }) => {
    void Promise.all(files.map((handle) => handle.getFile())).then((given) => addFiles(workspace, given));
  });
}
