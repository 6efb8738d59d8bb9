/** The folder where Node keeps downloaded models and saved sessions, in the system's location for caches. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { FolderRecords } from '../store/folder-records.ts';
import { ModelStore } from '../store/model-store.ts';

/**
 * The environment variable OCTAVO_CACHE names another folder. It is read on every use, so that a program can set it.
 */
export function octavoFolder(
  environment: NodeJS.ProcessEnv = process.env,
  system: NodeJS.Platform = process.platform,
): string {
  return environment['OCTAVO_CACHE'] ?? join(cacheFolder(environment, system), 'octavo');
}

export function sessionFolder(environment?: NodeJS.ProcessEnv, system?: NodeJS.Platform): string {
  return join(octavoFolder(environment, system), 'sessions');
}

export function openModelStore(): ModelStore {
  return new ModelStore(new FolderRecords(join(octavoFolder(), 'models')));
}

/** What was measured on this machine's devices. */
export function openDeviceRecords(): FolderRecords {
  return new FolderRecords(join(octavoFolder(), 'devices'));
}

function cacheFolder(environment: NodeJS.ProcessEnv, system: NodeJS.Platform): string {
  if (system === 'win32') return environment['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local');
  if (system === 'darwin') return join(homedir(), 'Library', 'Caches');
  return environment['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
}
