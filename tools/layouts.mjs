// Writes what the host must know of assembly/ from its sources: the exports of the WASM module as a TypeScript interface, and for each record that the
// host fills its size, the places of its fields, and a function that writes all of them. `--check` (npm run lint) fails when a file is not current.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { CommonFlags, NodeKind, newOptions, newProgram, nextFile, parse } from 'assemblyscript';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** What each file of records holds: by source, its records and its whole-number constants, with a prefix where their names say too little alone. */
const RECORDS = {
  'src/backend/wasm/layouts.ts': {
    'kernels/attention': { records: ['Attention'] },
    'kernels/cached': { records: ['Cached', 'RowMeans'] },
    'kernels/conv': { records: ['Conv'] },
    'kernels/group-norm': { records: ['Moments', 'GroupNorm'] },
    'kernels/linear': { records: ['Linear', 'Part'], constants: ['BLOCK'] },
    'kernels/math': {
      constants: [
        'ACTIVATION_NONE',
        'ACTIVATION_SILU',
        'ACTIVATION_GELU',
        'ACTIVATION_GELU_TANH',
        'ACTIVATION_SIGMOID',
        'ACTIVATION_TANH',
      ],
    },
    'kernels/norm': { constants: ['NORM_NONE', 'NORM_RMS', 'NORM_LAYER'] },
    'kernels/pool': { constants: ['LOST', 'WORKERS', 'SCRATCH', 'SCRATCH_STRIDE', 'SLEEPS'], prefix: 'POOL_' },
    'kernels/probe': { records: ['Probe'] },
    'kernels/recurrent': { records: ['ShortConv', 'Delta'] },
    'kernels/rope': { records: ['RopeAppend'] },
    'kernels/rowwise': { records: ['Rowwise', 'Denoise'] },
    'kernels/sample': { records: ['Sample'] },
    'kv/quantise': { records: ['Convert'] },
  },
};
const EXPORTS = 'src/wasm-exports.ts';

/** Bytes of a field's type; pointers are of 32 bits. */
const SIZES = { usize: 4, isize: 4, u32: 4, i32: 4, f32: 4, u64: 8, i64: 8, f64: 8 };

/** Every source that `entry` reaches, by its path without folder and ending. `read` returns a file's text, or undefined where there is none. */
export function sources(entry, read) {
  const program = newProgram(newOptions());
  const folder = posix.dirname(entry);
  const add = (path, isEntry) => {
    const file = read(`${path}.ts`) === undefined ? `${path}/index.ts` : `${path}.ts`;
    const text = read(file);
    if (text === undefined) throw new Error(`${path}.ts: there is no such file, and no ${path}/index.ts`);
    parse(program, text, file, isEntry);
  };
  add(entry, true);
  for (let path = nextFile(program); path !== null; path = nextFile(program)) add(path, false);
  const found = new Map();
  for (const source of program.sources)
    if (source.internalPath.startsWith(`${folder}/`)) found.set(source.internalPath.slice(folder.length + 1), source);
  return found;
}

const declarations = (source, kind) => source.statements.filter((statement) => statement.kind === kind);
const typeName = (type) => type.name.identifier.text;

/** Fields of an `@unmanaged` class with their places, as AssemblyScript lays them out: in order, each aligned to its size. */
export function layout(source, name) {
  const found = declarations(source, NodeKind.ClassDeclaration).find((one) => one.name.text === name);
  if (!found?.decorators?.some((decorator) => decorator.name.text === 'unmanaged'))
    throw new Error(`${source.normalizedPath}: there is no @unmanaged class ${name}`);
  let end = 0;
  let alignment = 1;
  const fields = found.members
    .filter((member) => member.kind === NodeKind.FieldDeclaration)
    .map((member) => {
      const type = typeName(member.type);
      const size = SIZES[type];
      if (size === undefined) throw new Error(`${name}.${member.name.text}: type ${type} has no known size`);
      const offset = Math.ceil(end / size) * size;
      end = offset + size;
      alignment = Math.max(alignment, size);
      return { name: member.name.text, type, offset };
    });
  return { name, fields, bytes: Math.ceil(end / alignment) * alignment };
}

/** The value of a whole-number constant. */
export function constant(source, name) {
  for (const { declarations: all } of declarations(source, NodeKind.Variable)) {
    const found = all.find((one) => one.name.text === name);
    const value = found?.initializer?.range.toString();
    if (value !== undefined && /^(\d+|0x[\da-f]+)$/.test(value)) return Number(value);
  }
  throw new Error(`${source.normalizedPath}: there is no constant ${name} that is a whole number`);
}

/** Exported functions of the entry with parameters and result, by the source that declares them. */
export function exported(files, entry) {
  const found = [];
  const value = (type) => (typeName(type) === 'void' ? 'void' : /^[iu]64$/.test(typeName(type)) ? 'bigint' : 'number');
  for (const statement of declarations(files.get(entry), NodeKind.Export)) {
    const path = posix.normalize(posix.join(posix.dirname(entry), statement.path.value));
    const source = files.get(path) ?? files.get(`${path}/index`);
    const functions = declarations(source, NodeKind.FunctionDeclaration);
    const members = statement.members.map((member) => {
      const one = functions.find((declared) => declared.name.text === member.localName.text);
      if (!one?.is(CommonFlags.Export))
        throw new Error(`${path}: there is no exported function ${member.localName.text}`);
      const parameters = one.signature.parameters.map(
        (each) => `${each.name.text.replace(/^_/, '')}: ${value(each.type)}`,
      );
      return `${member.exportedName.text}(${parameters.join(', ')}): ${value(one.signature.returnType)}`;
    });
    found.push({ path, members });
  }
  return found;
}

const HEADER =
  '// Made by tools/layouts.mjs from assembly/. Do not edit: change the sources there and run `npm run layouts`.\n';

/** The interface of the module's exports. */
export function exportsText(functions) {
  const groups = functions.map(
    ({ path, members }) => `  // assembly/${path}.ts\n${members.map((one) => `  ${one};\n`).join('')}`,
  );
  return `${HEADER}
/** What the WASM module exports; pointers are byte addresses. Operations that take \`args\` read an argument block, and return 1 when a pool thread was lost. */
export interface WasmExports {
${groups.join('\n')}}
`;
}

/** Constants and records of some sources. The field \`pool\` is the engine's affair: it is the same in all blocks. */
export function recordsText(files, wanted) {
  let text = `${HEADER}
/** A record's memory as 32-bit words and as f32. */
export interface Block {
  readonly words: Uint32Array;
  readonly floats: Float32Array;
}
`;
  for (const [path, { records = [], constants = [], prefix = '' }] of Object.entries(wanted)) {
    const source = files.get(path);
    text += `\n// assembly/${path}.ts\n`;
    for (const name of constants) text += `export const ${prefix}${name} = ${constant(source, name)};\n`;
    for (const { name, fields, bytes } of records.map((record) => layout(source, record))) {
      const own = fields.filter((field) => field.name !== 'pool');
      const lower = name.charAt(0).toLowerCase() + name.slice(1);
      text += `\n/** Words of the record, and the word of each field. */\nexport const ${lower}Words = ${bytes / 4};\n`;
      for (const field of own)
        text += `export const ${lower}${field.name.charAt(0).toUpperCase()}${field.name.slice(1)} = ${field.offset / 4};\n`;
      text += `export interface ${name} {\n`;
      for (const field of own) text += `  readonly ${field.name}: number;${field.type === 'f32' ? ' // f32' : ''}\n`;
      // Only records that lie behind others, or stand alone, are written at a place of their own.
      const placed = own.length === fields.length;
      const views = own.some((field) => field.type === 'f32') ? 'words, floats' : 'words';
      text += `}\nexport function write${name}({ ${views} }: Block, record: ${name}${placed ? ', at = 0' : ''}): void {\n`;
      for (const field of own) {
        const place = `${placed && field.offset > 0 ? 'at + ' : ''}${placed && field.offset === 0 ? 'at' : field.offset / 4}`;
        text += `  ${field.type === 'f32' ? 'floats' : 'words'}[${place}] = record.${field.name};\n`;
      }
      text += '}\n';
      if (own.some((field) => SIZES[field.type] !== 4))
        throw new Error(`${name}: fields of 64 bits cannot be written as words`);
    }
  }
  return text;
}

/** The text of every generated file, by its path. */
export function outputs() {
  const files = sources('assembly/index', (path) =>
    existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined,
  );
  const texts = { [EXPORTS]: exportsText(exported(files, 'index')) };
  for (const [file, wanted] of Object.entries(RECORDS)) texts[file] = recordsText(files, wanted);
  return texts;
}

function main() {
  for (const [file, text] of Object.entries(outputs())) {
    const path = join(root, file);
    if (!process.argv.includes('--check')) writeFileSync(path, text);
    else if (readFileSync(path, 'utf8') !== text) {
      console.error(`${file} is not what assembly/ says; run npm run layouts`);
      process.exitCode = 1;
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
