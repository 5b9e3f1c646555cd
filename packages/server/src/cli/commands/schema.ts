import type { Command, Flag, Input, Io } from '../command.ts';
import { usageError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { cell, printJson, printLine, printTable } from '../print.ts';
import { readInput } from '../read-input.ts';
import { type Remote, connect, remoteFlags } from '../remote.ts';

const VERSION: Flag = {
  name: 'version',
  kind: 'text',
  value: 'V',
  doc: 'The version of the service (default latest, which may be pushed again with another schema).',
};
const URL_FLAG: Flag = {
  name: 'url',
  kind: 'text',
  value: 'URL',
  doc: 'Where the service answers GraphQL. Not needed where every selected field is carried by events.',
};
const NAME = { name: 'NAME', doc: 'the name of the service' };
const FILE = { name: 'FILE', doc: 'a file with the schema in SDL, or - for standard input' };
const EXITS = [EXIT.unavailable, EXIT.refused];

type Envelope = { readonly data?: unknown };

const run =
  (work: (registry: Remote, input: Input, io: Io) => Promise<void>): Command['run'] =>
  async (input, io) => {
    await work(await connect('registry', input, io), input, io);
    return EXIT.ok;
  };

async function service(input: Input, io: Io): Promise<{ name: string; version: string; type_defs: string }> {
  const [name, file] = input.positionals;
  return { name: name!, version: input.text('version') ?? 'latest', type_defs: await readInput(io, file!) };
}

const push: Command = {
  path: ['schema', 'push'],
  summary: 'Push the schema of a service; the graph changes only if the whole composes.',
  positionals: [NAME, FILE],
  flags: [URL_FLAG, VERSION, ...remoteFlags('registry')],
  examples: [
    'millrace schema push deals ./schema.graphql --url http://127.0.0.1:4101/graphql',
    'millrace schema push deals ./schema.graphql --version "$(git rev-parse HEAD)"',
  ],
  exits: EXITS,
  run: run(async (registry, input, io) => {
    const wanted = await service(input, io);
    const url = input.text('url');
    const { data } = (await registry.post('/schema/push', { ...wanted, ...(url === null ? {} : { url }) })) as Envelope;
    if (input.json) printJson(io, data);
    else printLine(io, `pushed ${wanted.name} ${wanted.version}`);
  }),
};

const validate: Command = {
  path: ['schema', 'validate'],
  summary: 'Say whether the graph would compose with this schema; changes nothing.',
  positionals: [NAME, FILE],
  flags: [URL_FLAG, VERSION, ...remoteFlags('registry')],
  examples: ['millrace schema validate deals ./schema.graphql'],
  exits: EXITS,
  run: run(async (registry, input, io) => {
    const wanted = await service(input, io);
    const url = input.text('url');
    await registry.post('/schema/validate', { ...wanted, ...(url === null ? {} : { url }) });
    if (input.json) printJson(io, { valid: true });
    else printLine(io, `${wanted.name} composes with the other services`);
  }),
};

type Row = { readonly name?: unknown; readonly version?: unknown; readonly url?: unknown; readonly added_time?: unknown };

const latest: Command = {
  path: ['schema', 'latest'],
  summary: 'List the services of the graph with their versions.',
  flags: remoteFlags('registry'),
  examples: ['millrace schema latest', 'millrace schema latest --json'],
  exits: EXITS,
  run: run(async (registry, input, io) => {
    const rows = (((await registry.json('/schema/latest')) as Envelope).data ?? []) as readonly Row[];
    if (input.json) printJson(io, rows);
    else
      printTable(
        io,
        ['SERVICE', 'VERSION', 'URL', 'ADDED'],
        rows.map(({ name, version, url, added_time }) => [name, version, url, added_time].map(cell)),
      );
  }),
};

type Change = { readonly criticality?: { readonly level?: unknown }; readonly message?: unknown; readonly path?: unknown };

const diff: Command = {
  path: ['schema', 'diff'],
  summary: 'Compare a schema with the one that the service has now; breaking changes first.',
  positionals: [NAME, FILE],
  flags: [VERSION, ...remoteFlags('registry')],
  examples: ['millrace schema diff deals ./schema.graphql'],
  exits: EXITS,
  run: run(async (registry, input, io) => {
    const changes = (((await registry.post('/schema/diff', await service(input, io))) as Envelope).data ?? []) as readonly Change[];
    const order = ['BREAKING', 'DANGEROUS', 'NON_BREAKING'];
    const sorted = changes.toSorted((a, b) => order.indexOf(cell(a.criticality?.level)) - order.indexOf(cell(b.criticality?.level)));
    if (input.json) printJson(io, sorted);
    else if (sorted.length === 0) printLine(io, 'no changes');
    else for (const { criticality, message } of sorted) printLine(io, `${cell(criticality?.level).padEnd(12)}  ${cell(message)}`);
  }),
};

const remove: Command = {
  path: ['schema', 'delete'],
  summary: 'Take a service out of the graph; refused where the rest would not compose.',
  positionals: [NAME],
  flags: [
    { name: 'force', kind: 'boolean', doc: 'Even where the rest does not compose; the last good graph stays served.' },
    ...remoteFlags('registry'),
  ],
  examples: ['millrace schema delete deals'],
  exits: EXITS,
  run: run(async (registry, input, io) => {
    const [name] = input.positionals;
    const force = input.has('force') ? '?force=true' : '';
    const answer = (await registry.json(`/service/${encodeURIComponent(name!)}${force}`, { method: 'DELETE' })) as Envelope;
    if (input.json) printJson(io, answer.data ?? null);
    else printLine(io, `deleted ${name}`);
  }),
};

const supergraph: Command = {
  path: ['schema', 'supergraph'],
  summary: 'Print the composed supergraph as SDL.',
  flags: remoteFlags('registry'),
  examples: ['millrace schema supergraph > supergraph.graphql'],
  exits: EXITS,
  run: run(async (registry, input, io) => {
    const { status, text } = await registry.ask('/schema/supergraph');
    if (status !== 200) throw usageError(`the registry answered ${status}`);
    if (input.json) printJson(io, { supergraph: text });
    else io.stdout.write(text);
  }),
};

const directives: Command = {
  path: ['schema', 'directives'],
  summary: 'Print the definitions of @live, @carried and @filterable.',
  details:
    'For services that build their schema with a federation library and must define the directives they use. The running service never needs to know Millrace.',
  examples: ['millrace schema directives >> schema.graphql'],
  async run(input, io) {
    const { LIVE_DIRECTIVES_SDL, LIVE_SPEC_URL } = await import('../../supergraph/live-directives.ts');
    if (input.json) printJson(io, { url: LIVE_SPEC_URL, sdl: LIVE_DIRECTIVES_SDL });
    else
      io.stdout.write(
        `# extend schema @link(url: "${LIVE_SPEC_URL}", import: ["@live", "@carried", "@filterable"])\n\n${LIVE_DIRECTIVES_SDL}`,
      );
    return EXIT.ok;
  },
};

export const schemaCommands: readonly Command[] = [push, validate, latest, diff, remove, supergraph, directives];
