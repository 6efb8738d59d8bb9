// ESM through swc; types are checked by `npm run typecheck`.
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': '<rootDir>/test/support/typescript-transform.cjs',
    '\\.wgsl$': '<rootDir>/test/support/wgsl-transform.cjs',
  },
  // examples/electron/main.js runs on the fakes, and on the built package.
  moduleNameMapper: {
    '^electron/(main|common)$': '<rootDir>/test/electron/fake-modules.ts',
    '^octavo/electron$': '<rootDir>/dist/electron.js',
  },
  moduleFileExtensions: ['ts', 'js', 'mjs', 'json', 'node', 'wgsl'],
  testTimeout: 60_000,
  // Modules of finished suites stay in a worker's heap (Node keeps ES modules of vm contexts), so workers are replaced when they have grown.
  testSequencer: '<rootDir>/tools/sequencer.mjs',
  maxWorkers: 2,
  workerIdleMemoryLimit: '1500MB',
};
