// npm start [-- --port N]: the studio in a browser, on the built package, served from this machine to this machine.
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { serve } from './static-server.mjs';

const { values } = parseArgs({ options: { port: { type: 'string', default: '8080' } } });
const folder = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
try {
  const { origin } = await serve({
    port: Number(values.port),
    mounts: { '/': folder('examples/studio'), '/octavo/dist/': folder('dist'), '/octavo/models/': folder('models') },
  });
  console.log(`Octavo studio: ${origin}/   (Ctrl+C ends it)`);
} catch (error) {
  console.error(
    error.code === 'EADDRINUSE' ? `port ${values.port} is taken; try npm start -- --port 8081` : error.message,
  );
  process.exit(1);
}
