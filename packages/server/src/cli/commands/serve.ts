import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { printLine } from '../print.ts';
import { processesOf, runProcesses } from '../processes/run-processes.ts';
import { CONFIG_FLAG } from './dev.ts';
import { runServer } from './run-server.ts';

export const serveCommand: Command = {
  path: ['serve'],
  summary: 'Run the server for production; needs at least one issuer of tokens.',
  details:
    'SIGTERM drains: not ready any more, no new connections, open ones closed spread over drainWindow; a second signal ends at once.\n' +
    'With --roles a process does a part of the work; docs/roles.md says how the parts go together.',
  flags: [
    CONFIG_FLAG,
    {
      name: 'processes',
      kind: 'text',
      value: 'N',
      doc: 'Run N processes that share the port, for the roles gateway and edge. One that dies is started again.',
    },
  ],
  takesOptions: true,
  examples: [
    'millrace serve --config /etc/millrace/millrace.config.yaml',
    'millrace serve --host 0.0.0.0 --data /var/lib/millrace',
    'millrace serve --roles gateway,edge --processes 4',
  ],
  exits: [EXIT.configuration, EXIT.setup],
  run: (input, io) => {
    const processes = processesOf(input);
    if (processes !== null) return runProcesses(processes, input, io);
    return runServer('production', input, io, (addresses) => {
      for (const [name, url] of Object.entries(addresses)) printLine(io, `${`${name}:`.padEnd(10)} ${url}`);
    });
  },
};
