/** Where Node keeps saved sessions: the system's folder for what can be made anew. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** OCTAVO_CACHE names another. Read when it is used, so that a program can set it. */
export function sessionFolder(
  environment: NodeJS.ProcessEnv = process.env,
  system: NodeJS.Platform = process.platform,
): string {
  return join(environment['OCTAVO_CACHE'] ?? join(cacheFolder(environment, system), 'octavo'), 'sessions');
}

function cacheFolder(environment: NodeJS.ProcessEnv, system: NodeJS.Platform): string {
  if (system === 'win32') return environment['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local');
  if (system === 'darwin') return join(homedir(), 'Library', 'Caches');
  return environment['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
}
