// npm start [-- --port N --host H]: the studio in a browser, on the built package. Served to this machine alone unless --host names another address
// (0.0.0.0: every network that it is in).
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { serve } from './static-server.mjs';

const { values } = parseArgs({
  options: { port: { type: 'string', default: '8080' }, host: { type: 'string', default: '127.0.0.1' } },
});
const folder = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
try {
  const { origin } = await serve({
    port: Number(values.port),
    host: values.host,
    mounts: { '/': folder('examples/studio'), '/octavo/dist/': folder('dist'), '/octavo/models/': folder('models') },
  });
  console.log(`Octavo studio: ${origin}/   (Ctrl+C ends it)`);
  if (values.host !== '127.0.0.1' && values.host !== 'localhost')
    console.log(
      'Pages from another machine over plain http are no secure context: browsers give them neither WebGPU nor threads nor stored downloads. Use https (a tunnel or a proxy), or localhost.',
    );
} catch (error) {
  console.error(
    error.code === 'EADDRINUSE' ? `port ${values.port} is taken; try npm start -- --port 8081` : error.message,
  );
  process.exit(1);
}
