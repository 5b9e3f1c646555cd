import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { printLine } from '../print.ts';
import { CONFIG_FLAG } from './dev.ts';
import { runServer } from './run-server.ts';

export const serveCommand: Command = {
  path: ['serve'],
  summary: 'Run the server for production; needs at least one issuer of tokens.',
  details:
    'SIGTERM drains: not ready any more, no new connections, open ones closed spread over drainWindow; a second signal ends at once.',
  flags: [CONFIG_FLAG],
  takesOptions: true,
  examples: ['millrace serve --config /etc/millrace/millrace.config.yaml', 'millrace serve --host 0.0.0.0 --data /var/lib/millrace'],
  exits: [EXIT.configuration, EXIT.setup],
  run: (input, io) =>
    runServer('production', input, io, (addresses) => {
      for (const [name, url] of Object.entries(addresses)) printLine(io, `${`${name}:`.padEnd(10)} ${url}`);
    }),
};
