import { createFetch } from '../openai/index.ts';
import { Arguments, MODEL_OPTIONS, UsageError } from './arguments.ts';
import { isLoopback, startServer } from './http-server.ts';
import { modelHelp, withModel } from './loading.ts';
import type { Command } from './command.ts';
import { visible, write } from './terminal.ts';

const DEFAULT_PORT = 8080;
const MOST_PORT = 65_535;

/** Other programs of this machine use the model by OpenAI's API. */
export const serve: Command = {
  usage: 'serve [--model M] [--port N] [--host H] [--token T] [--cors ORIGIN]',
  summary: "the model behind OpenAI's API, for other programs",
  details: `${modelHelp('nano')}  --port N             default ${DEFAULT_PORT}; 0 takes one that is free
  --host H             default 127.0.0.1: only this machine; others need --token
  --token T            what clients must send as their API key (also OCTAVO_TOKEN)
  --cors ORIGIN        pages of this origin may ask, such as https://example.org ('*': all); several are separated by commas

Prints the address, and answers until it is interrupted (Ctrl+C).
`,
  async run(argv, context) {
    const args = new Arguments(argv, { ...MODEL_OPTIONS, port: 's', host: 's', token: 's', cors: 's' });
    args.atMost(0);
    const port = args.number('port') ?? DEFAULT_PORT;
    if (!Number.isInteger(port) || port < 0 || port > MOST_PORT)
      throw new UsageError(`--port: ${port} is not a whole number from 0 to ${MOST_PORT}`);
    const host = args.text('host') ?? '127.0.0.1';
    const token = args.text('token') ?? process.env['OCTAVO_TOKEN'];
    if (!isLoopback(host) && (token === undefined || token === ''))
      throw new UsageError(`--host ${host}: other machines can reach it; give --token, or OCTAVO_TOKEN`);
    const origins = (args.text('cors') ?? '').split(',').filter((origin) => origin !== '');
    await withModel(args, context, 'nano', async (model) => {
      const interrupted = new Promise<void>((resolve) => {
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
      });
      // The place of a file on this machine is nobody else's business.
      const name = model.name.split(/[/\\]/).at(-1) ?? model.name;
      const server = await startServer(createFetch({ [name]: model }, args.context()), {
        host,
        port,
        ...(token === undefined || token === '' ? {} : { token }),
        origins,
      });
      await write(context.output, `${server.url}/v1\n`);
      if (context.errors.isTTY === true)
        await write(context.errors, `${visible(model.name)} on ${model.device.description}. Ctrl+C ends the server.\n`);
      await interrupted;
      await server.close();
    });
  },
};
