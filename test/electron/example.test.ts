/**
 * examples/electron: its types against Electron's own, its packaging against electron-builder's schema, and the parts of its main process that need no window. Electron's
 * types come by `npm ci` in the example, without its binary.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import Ajv from 'ajv';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const example = fileURLToPath(new URL('../../examples/electron/', import.meta.url));
const root = fileURLToPath(new URL('../../', import.meta.url));
const env = { ...process.env, NODE_OPTIONS: '' };

interface Item {
  readonly label?: string;
  readonly role?: string;
  readonly enabled?: boolean;
  readonly submenu?: readonly Item[];
  click?(): void;
}
interface ExampleModules {
  readonly menu: { menuTemplate(actions: object): readonly Item[] };
  readonly documents: {
    readonly EXTENSIONS: readonly string[];
    documentsOf(argv: readonly string[], folder: string): string[];
  };
  readonly recent: {
    RecentDocuments: new (file: string) => {
      readonly paths: string[];
      add(paths: readonly string[]): void;
      clear(): void;
    };
  };
  readonly updates: { followUpdates(electron: object): boolean };
}
const load = async <Name extends keyof ExampleModules>(name: Name): Promise<ExampleModules[Name]> =>
  (await import(`../../examples/electron/${name}.js`)) as ExampleModules[Name];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-example-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the main process and the pages fit Electron’s own types', async () => {
  if (!existsSync(join(example, 'node_modules/.package-lock.json')))
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: example, env });
  await run(process.execPath, ['link.mjs'], { cwd: example, env });
  const check = (project: string): Promise<string> =>
    run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', project], { cwd: example, env }).then(
      () => '',
      (error: unknown) => (error as { stdout: string }).stdout,
    );
  expect(await check('.')).toBe('');
  // The check sees when Electron is not what is expected.
  const wrong = join(example, 'node_modules/.wrong');
  mkdirSync(wrong, { recursive: true });
  writeFileSync(
    join(wrong, 'wrong.ts'),
    "import * as electron from 'electron/main';\nimport type { ElectronMain } from 'octavo/electron';\nexport const module: ElectronMain = { ...electron, utilityProcess: electron.powerMonitor };\n",
  );
  writeFileSync(
    join(wrong, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: { types: ['node', 'electron'] },
      include: ['wrong.ts'],
      exclude: [],
    }),
  );
  expect(await check(wrong)).toContain("Property 'fork' is missing");
}, 120_000);

test('the packaging is what electron-builder takes, opens what the program opens, and is hardened', async () => {
  const config = JSON.parse(readFileSync(join(example, 'electron-builder.json'), 'utf8')) as {
    $schema?: string;
    readonly electronFuses: Readonly<Record<string, boolean>>;
    readonly fileAssociations: readonly { readonly ext: string | readonly string[] }[];
  };
  const scheme = join(folder, 'package');
  await run('npm', ['pack', 'app-builder-lib@26.17.0', '--silent', '--prefer-offline', '--pack-destination', folder], {
    env,
  });
  await run('tar', ['xzf', join(folder, 'app-builder-lib-26.17.0.tgz'), '-C', folder, 'package/scheme.json']);
  const validate = new Ajv({ strict: false, allErrors: true }).compile(
    JSON.parse(readFileSync(join(scheme, 'scheme.json'), 'utf8')) as object,
  );
  delete config.$schema;
  expect([validate(config), validate.errors]).toEqual([true, null]);
  expect(validate({ ...config, asarr: true })).toBe(false);
  const { EXTENSIONS } = await load('documents');
  const associated = config.fileAssociations.flatMap(({ ext }) => ext).map((ext) => `.${ext}`);
  expect(associated.sort()).toEqual([...EXTENSIONS].sort());
  expect(config.electronFuses).toMatchObject({
    runAsNode: false,
    onlyLoadAppFromAsar: true,
    enableEmbeddedAsarIntegrityValidation: true,
    enableNodeOptionsEnvironmentVariable: false,
    enableNodeCliInspectArguments: false,
  });
}, 60_000);

describe('the main process', () => {
  test('finds documents on a command line', async () => {
    const { documentsOf } = await load('documents');
    for (const name of ['a.pdf', 'b.TXT', 'c.exe', '-d.pdf']) writeFileSync(join(folder, name), '');
    mkdirSync(join(folder, 'folder.pdf'));
    const argv = [
      'electron',
      '--flag=a.pdf',
      'a.pdf',
      './b.TXT',
      'c.exe',
      '-d.pdf',
      'missing.pdf',
      'folder.pdf',
      join(folder, 'a.pdf'),
    ];
    expect(documentsOf(argv, folder)).toEqual(['a.pdf', 'b.TXT', 'a.pdf'].map((name) => join(folder, name)));
    expect(documentsOf(['electron', ...Array.from({ length: 80 }, () => 'a.pdf')], folder)).toHaveLength(50);
  });

  test('remembers the last documents, whatever its file holds', async () => {
    const { RecentDocuments } = await load('recent');
    const file = join(folder, 'recent.json');
    const recent = new RecentDocuments(file);
    recent.add(['/a.pdf', '/b.pdf']);
    recent.add(['/a.pdf']);
    expect(new RecentDocuments(file).paths).toEqual(['/a.pdf', '/b.pdf']);
    recent.add(Array.from({ length: 20 }, (_, i) => `/${i}.pdf`));
    expect(recent.paths).toHaveLength(10);
    recent.clear();
    expect(new RecentDocuments(file).paths).toEqual([]);
    for (const damaged of ['', '{', '{"a":1}', '["relative", 1, null, "/a.pdf"]']) {
      writeFileSync(file, damaged);
      expect(new RecentDocuments(file).paths).toEqual(damaged.startsWith('[') ? ['/a.pdf'] : []);
    }
  });

  test('has a menu that gives commands and opens recent documents', async () => {
    const { menuTemplate } = await load('menu');
    const said: string[] = [];
    const actions = (mac: boolean, recent: readonly string[]): object => ({
      mac,
      recent,
      choose: () => said.push('choose'),
      open: (path: string) => said.push(`open ${path}`),
      forget: () => said.push('forget'),
      command: (name: string) => said.push(name),
    });
    const click = (items: readonly Item[]): void => {
      for (const item of items) {
        item.click?.();
        click(item.submenu ?? []);
      }
    };
    click(menuTemplate(actions(false, ['/letters/a.pdf'])));
    expect(said).toEqual(['choose', 'open /letters/a.pdf', 'forget', 'show-models', 'show-settings', 'show-shortcuts']);
    const roles = (items: readonly Item[]): readonly (string | undefined)[] =>
      items.flatMap((item) => [item.role, ...roles(item.submenu ?? [])]).filter((role) => role !== undefined);
    expect(roles(menuTemplate(actions(false, [])))).not.toContain('toggleDevTools');
    expect(menuTemplate(actions(true, []))[0]!.role).toBe('appMenu');
    expect(menuTemplate(actions(false, []))[0]!.submenu!.find(({ label }) => label === 'Open &Recent')!.enabled).toBe(
      false,
    );
  });

  test('asks for no updates before it is told where they are', async () => {
    const { followUpdates } = await load('updates');
    const autoUpdater = { on: () => {}, setFeedURL: () => expect('a feed').toBe('none'), checkForUpdates: () => {} };
    for (const isPackaged of [false, true]) expect(followUpdates({ app: { isPackaged }, autoUpdater })).toBe(false);
  });
});
