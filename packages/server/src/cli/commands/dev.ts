import type { Command, Flag, Io } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import type { Addresses } from '../../server/runtime-file.ts';
import { version } from '../version.ts';
import { runServer } from './run-server.ts';

export const CONFIG_FLAG: Flag = {
  name: 'config',
  kind: 'text',
  value: 'FILE',
  doc: 'The configuration file, instead of millrace.config.* in this folder.',
};

export const devCommand: Command = {
  path: ['dev'],
  summary: 'Run everything in one process for development: no broker, no database, no container.',
  details:
    'Listens on this machine only and accepts the tokens of `millrace token`. With --json it prints one line when it is ready,\n' +
    '{"ready":true,"graphql":…,"ws":…,"sse":…,"events":…,"registry":…,"admin":…}, each a full URL. Ctrl-C drains; a second Ctrl-C ends at once.',
  flags: [CONFIG_FLAG],
  takesOptions: true,
  examples: ['millrace dev', 'millrace dev --supergraph-config supergraph.yaml', 'millrace dev --json --port 0 --data /tmp/millrace'],
  exits: [EXIT.configuration, EXIT.setup],
  run: (input, io) => runServer('dev', input, io, (addresses) => banner(addresses, io)),
};

function banner({ graphql, events, registry, admin }: Addresses, io: Io): void {
  io.stdout.write(`
  Millrace ${version()} is ready (development: this machine only, tokens of \`millrace token\`)

    GraphQL and explorer   ${graphql ?? 'elsewhere'}
    events (POST)          ${events ?? 'elsewhere'}
    registry               ${registry ?? 'elsewhere'}
    metrics and health     ${admin}

  Try next, in another terminal in this folder:
    npx millrace schema push NAME ./schema.graphql
    npx millrace token --tenant acme --user ann
    npx millrace events publish --topic TOPIC '{"id": "1", …}'
    npx millrace events tail

  Ctrl-C stops it.
`);
}
