/** The files that sentence-transformers keeps beside a model: which modules a text goes through, and each one's configuration. */
import { FileError } from '../../errors.ts';
import { JSON_LIMITS } from '../expectation.ts';
import { isObject, parseJson } from '../json.ts';
import type { JsonObject, JsonValue, SentenceFiles, SentenceModule } from '../model-file.ts';

/** Models have two to five. */
const MOST_MODULES = 16;
/** Folders of modules are named by their place and kind. */
const PATH = /^\d{1,2}_[A-Za-z]{1,40}$/;

/** `json`: reads one of the folder's JSON files. */
export async function sentenceFiles(
  list: Uint8Array,
  folder: string,
  json: (name: string, limit: number) => Promise<JsonObject | undefined>,
): Promise<SentenceFiles> {
  const file = `${folder}/modules.json`;
  const malformed = (problem: string): FileError => new FileError('malformed', { file, field: 'modules' }, problem);
  const parsed = parseJson(list, file, 'JSON', 0);
  if (!Array.isArray(parsed)) throw malformed('a list should be here');
  if (parsed.length > MOST_MODULES)
    throw new FileError('limit', { file, field: 'modules' }, `${parsed.length}; at most ${MOST_MODULES} are read`);
  const modules: SentenceModule[] = [];
  for (const entry of parsed as readonly JsonValue[]) {
    const { type, path = '' } = isObject(entry) ? entry : {};
    if (typeof type !== 'string' || typeof path !== 'string' || !(path === '' || PATH.test(path)))
      throw malformed(
        `${JSON.stringify(entry)?.slice(0, 80)}; a module with its type and its folder (for instance 1_Pooling) should be here`,
      );
    const config = path === '' ? undefined : await json(`${path}/config.json`, JSON_LIMITS.config);
    modules.push({ type, path, ...(config === undefined ? {} : { config }) });
  }
  const limits = await json('sentence_bert_config.json', JSON_LIMITS.config);
  const settings = await json('config_sentence_transformers.json', JSON_LIMITS.config);
  return { modules, ...(limits === undefined ? {} : { limits }), ...(settings === undefined ? {} : { settings }) };
}
