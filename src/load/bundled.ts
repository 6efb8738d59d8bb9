/** The models that the package brings, by the names that `load` takes. Each is `models/<name>/<name>.gguf` of the package, and its URL is exported by `octavo/<name>`. */
import { InputError } from '../errors.ts';

export interface BundledModel {
  readonly name: string;
  /** Whether it sees pictures. */
  readonly sees: boolean;
}

const BUNDLED: readonly BundledModel[] = [
  { name: 'nano', sees: true },
  { name: 'nano-text', sees: false },
];

/** The bundled model of this name; undefined for every other input. */
export function bundledModel(input: unknown): BundledModel | undefined {
  return BUNDLED.find(({ name }) => name === input);
}

/** Its file, below the folder of the package. */
export const bundledFile = ({ name }: BundledModel): string => `models/${name}/${name}.gguf`;

/** What is thrown where the package's files are not there: `remedy` is what to do instead. */
export function notInBundle({ name }: BundledModel, remedy: string): InputError {
  return new InputError('argument', `'${name}' is not part of this bundle: ${remedy}`, { name });
}
