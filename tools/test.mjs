// Runs jest with what WGSL needs: SwiftShader's Vulkan driver (from npm) in the environment before the process starts.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { swiftshaderEnvironment } from './sparticuz.mjs';

const jest = createRequire(import.meta.url).resolve('jest/bin/jest');
const hardware = process.env.OCTAVO_HARDWARE_GPU === '1';
const env = {
  ...process.env,
  ...(hardware ? {} : await swiftshaderEnvironment()),
  NODE_OPTIONS: '--experimental-vm-modules --no-warnings',
};
const child = spawn(process.execPath, [jest, ...process.argv.slice(2)], { stdio: 'inherit', env });
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
