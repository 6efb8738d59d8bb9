// Compiles assembly/ once for each target of asconfig.json. A target whose inputs have not changed is skipped: beside each output lies the hash of the
// inputs that made it, so copied and checked out trees, whose file times mean nothing, do not compile again.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Hash of everything that decides a target's output: the compiler's version, the configuration, and the path and text of every source. */
export function inputsHash(root, target, compiler) {
  const { entries, options, targets } = JSON.parse(readFileSync(join(root, 'asconfig.json'), 'utf8'));
  const hash = createHash('sha256').update(JSON.stringify([compiler, entries, options, targets[target]]));
  const sources = readdirSync(join(root, 'assembly'), { recursive: true })
    .map((name) => String(name).replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.ts'))
    .sort();
  for (const name of sources) hash.update(JSON.stringify([name, readFileSync(join(root, 'assembly', name), 'utf8')]));
  return hash.digest('hex');
}

const AGAIN = '--again';

/**
 * Optimises a compiled target once more. Read from its bytes, the code takes 1 KB less (gzip) than as asc leaves it, and products and attention take as long
 * as before (bench/kernels/gemv.mjs --old, attention.mjs --old).
 */
async function optimiseAgain(file, { optimizeLevel, shrinkLevel, enable = [] }) {
  // The compiler's own binaryen.
  const { resolve } = createRequire(createRequire(import.meta.url).resolve('assemblyscript/package.json'));
  const { default: binaryen } = await import(pathToFileURL(resolve('binaryen')).href);
  const { Features } = binaryen;
  const named = { simd: Features.SIMD128, 'relaxed-simd': Features.RelaxedSIMD, threads: Features.Atomics };
  // What asc enables by itself, and the target's own.
  const features = [
    Features.MutableGlobals,
    Features.SignExt,
    Features.NontrappingFPToInt,
    Features.BulkMemory,
    Features.BulkMemoryOpt,
    ...enable.map((name) => named[name]),
  ].reduce((all, feature) => all | feature, 0);
  const module = binaryen.readBinaryWithFeatures(readFileSync(file), features);
  binaryen.setOptimizeLevel(optimizeLevel);
  binaryen.setShrinkLevel(shrinkLevel);
  module.optimize();
  // The functions that are called most get the shortest numbers: 0.4 KB less (gzip).
  module.runPasses(['reorder-functions']);
  if (!module.validate()) throw new Error(`${file} is not valid after it was optimised again`);
  writeFileSync(file, module.emitBinary());
  module.dispose();
}

async function main() {
  process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));
  const { options, targets } = JSON.parse(readFileSync('asconfig.json', 'utf8'));
  const { version } = createRequire(import.meta.url)('assemblyscript/package.json');
  const wanted = process.argv.slice(2).filter((a) => !a.startsWith('-'));
  if (process.argv.includes(AGAIN)) {
    for (const name of wanted) await optimiseAgain(targets[name].outFile, { ...options, ...targets[name] });
    return;
  }
  for (const [name, { outFile }] of Object.entries(targets)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const hash = inputsHash('.', name, `${version}, optimised again, reordered`);
    const record = `${outFile}.inputs`;
    if (existsSync(outFile) && existsSync(record) && readFileSync(record, 'utf8') === hash) continue;
    mkdirSync(dirname(outFile), { recursive: true });
    const { default: asc } = await import('assemblyscript/asc');
    const { error, stderr, stdout } = await asc.main(['--config', 'asconfig.json', '--target', name]);
    process.stdout.write(stdout.toString());
    if (error) {
      process.stderr.write(stderr.toString());
      throw new Error(`asc failed for target ${name}: ${error.message}`);
    }
    // In a process of its own: asc leaves settings of its own in binaryen.
    execFileSync(process.execPath, [fileURLToPath(import.meta.url), AGAIN, name], { stdio: 'inherit' });
    writeFileSync(record, hash);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
