/**
 * `npm run start:distributed`: the CRM example on a whole installation: Kafka, Redis and PostgreSQL of its own, two registries, two processes that take
 * events in, a gateway and two edges. Everything is thrown away at the end. `--json` prints one line when ready; `--help` says more.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Admin } from '@platformatic/kafka';
import { pushSchemas } from '../examples/crm/server/push-schemas.ts';
import { ANY_PORTS, startCrm } from '../examples/crm/server/start.ts';
import { issueDevToken } from '../packages/server/src/access/dev-tokens.ts';
import type { Addresses } from '../packages/server/src/server/runtime-file.ts';
import { startMillrace } from './distributed/millrace-process.ts';
import { whenOrphaned } from './orphan.ts';
import { catalogue, type Facts, type ServiceName } from './services/catalogue.ts';

const HELP = `npm run start:distributed [-- --json]

Starts private Kafka, Redis and PostgreSQL servers on free ports of 127.0.0.1, two registries, two processes that take events in, a gateway, two edges and the
CRM example, and ends and removes all of it on Ctrl-C. What the servers need is told where it is missing (\`npm run services -- --help\`).

  --json   one line of JSON on standard output when all are ready, and nothing else
  --help   this text

Exit code: 0 after Ctrl-C or SIGTERM, 1 where something is missing or does not start, 2 for wrong arguments.
`;

const TOPIC = 'crm.deals';
const PARTITIONS = 4;

const json = readArguments();
const began = performance.now();
const stack = new AsyncDisposableStack();
let ending = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(0));
whenOrphaned(() => void end(1));

try {
  await start();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  await end(1);
}

function readArguments(): boolean {
  try {
    const { values } = parseArgs({ options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
    if (values.help === true) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    return values.json === true;
  } catch (error) {
    process.stderr.write(
      `error: ${error instanceof Error ? error.message : String(error)}\nnpm run start:distributed -- --help says more\n`,
    );
    process.exit(2);
  }
}

/** Everything that was started ends, the last first; a second signal does not wait. */
async function end(code: number): Promise<never> {
  if (ending) process.exit(code === 0 ? 130 : code);
  ending = true;
  await stack.disposeAsync().catch((error: unknown) => step(`while stopping: ${String(error)}`));
  process.exit(code);
}

function step(text: string): void {
  if (!json) process.stdout.write(`${text}\n`);
}

async function server<Name extends ServiceName>(name: Name): Promise<Facts[Name]> {
  const missing = catalogue[name].need();
  if (missing) throw new Error(`${missing.missing} is missing: ${missing.install}`);
  const running = await catalogue[name].start();
  stack.defer(() => running.stop());
  return running.facts;
}

async function start(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-distributed-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  step('starting Kafka, Redis and PostgreSQL');
  const [kafka, redis, postgres] = await Promise.all([server('kafka'), server('redis'), server('postgres')]);
  await createTopic(kafka.brokers);
  const config = join(folder, 'millrace.config.json');
  writeFileSync(config, JSON.stringify(configuration(kafka, redis, postgres, await operatorToken())));
  const node = async (name: string, roles: string, registries: readonly string[] = []): Promise<Addresses> => {
    const data = join(folder, name);
    mkdirSync(data);
    const urls = registries.length === 0 ? [] : ['--registry-urls', registries.join(',')];
    return stack.use(await startMillrace(name, ['--config', config, '--data', data, '--roles', roles, ...urls])).addresses;
  };
  step('starting two registries');
  const registries = await Promise.all(['registry-1', 'registry-2'].map((name) => node(name, 'registry')));
  const urls = registries.map(({ registry }) => registry!);
  step('starting two processes that take events in, a gateway and two edges');
  const others = await Promise.all([
    ...['ingest-1', 'ingest-2'].map((name) => node(name, 'ingest', urls)),
    node('gateway', 'gateway', urls),
    ...['edge-1', 'edge-2'].map((name) => node(name, 'edge', urls)),
  ]);
  const [ingest, otherIngest, gateway, edge, otherEdge] = others as [Addresses, Addresses, Addresses, Addresses, Addresses];
  step('starting the CRM example: three subgraphs, the legacy monolith, the board');
  const board = await startBoard(folder, { graphql: gateway.graphql!, ws: edge.ws!, events: ingest.events!, registry: urls[0]! });
  tell({
    board,
    gateway: gateway.graphql!,
    edges: [edge.ws!, otherEdge.ws!],
    ingest: [ingest.events!, otherIngest.events!],
    registries: urls,
    admin: [...registries, ...others].map(({ admin }) => admin),
  });
}

async function createTopic(brokers: readonly string[]): Promise<void> {
  const admin = new Admin({ clientId: 'start-distributed', bootstrapBrokers: [...brokers] });
  await admin.createTopics({ topics: [TOPIC], partitions: PARTITIONS, replicas: 1 });
  await admin.close();
}

function configuration(kafka: Facts['kafka'], redis: Facts['redis'], postgres: Facts['postgres'], token: string): object {
  return {
    port: 0,
    registry: { store: 'postgres', postgresUrl: postgres.url, token },
    channels: { kind: 'redis', redis: { urls: [redis.url] } },
    cursor: { key: randomBytes(32).toString('hex') },
    brokers: [{ name: 'main', type: 'kafka', servers: kafka.brokers, group: 'millrace', delivery: 'effectively-once', topics: [TOPIC] }],
  };
}

function operatorToken(): Promise<string> {
  return issueDevToken({ tenant: 'operator', user: 'millrace', expiresIn: '365d' });
}

type Places = { readonly graphql: string; readonly ws: string; readonly events: string; readonly registry: string };

/** The example, with its schemas pushed as one change; resolves with the address of the board. */
async function startBoard(folder: string, places: Places): Promise<string> {
  const token = await issueDevToken({ tenant: 'crm', user: 'monolith', expiresIn: '365d' });
  const crm = await startCrm({
    eventsUrl: places.events,
    graphqlUrl: places.graphql,
    wsUrl: places.ws,
    token,
    issueToken: (claims) => issueDevToken({ ...claims, expiresIn: '12h' }),
    dataDir: join(folder, 'crm'),
    ports: ANY_PORTS,
  });
  stack.defer(() => crm.stop());
  await pushSchemas(places.registry, token, crm.subgraphs);
  return crm.boardUrl;
}

function tell(all: Readonly<Record<string, string | readonly string[]>>): void {
  if (json) return void process.stdout.write(`${JSON.stringify({ ready: true, ...all })}\n`);
  const lines = Object.entries(all).map(
    ([name, where]) => `  ${name.padEnd(12)}${typeof where === 'string' ? where : where.join('\n' + ' '.repeat(14))}`,
  );
  process.stdout.write(
    `\nReady in ${((performance.now() - began) / 1000).toFixed(1)} s.\n\n${lines.join('\n')}\n\nCtrl-C ends and removes everything.\n`,
  );
}
