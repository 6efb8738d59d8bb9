// Documents on a command line.
import { statSync } from 'node:fs';
import { extname, resolve } from 'node:path';

/** What the program opens, as in electron-builder.json. */
export const EXTENSIONS = ['.pdf', '.txt', '.md', '.markdown', '.html', '.htm', '.csv', '.docx'];
/** A glob that matched too much should not open everything. */
const MOST = 50;

/**
 * The paths of a command line that are documents. Options, the program itself and what is not there are left out.
 * @param {readonly string[]} argv
 * @param {string} folder in which the command was given
 */
export function documentsOf(argv, folder) {
  return argv
    .slice(1)
    .filter((argument) => !argument.startsWith('-') && EXTENSIONS.includes(extname(argument).toLowerCase()))
    .map((argument) => resolve(folder, argument))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true)
    .slice(0, MOST);
}
