/**
 * `npm start`: Millrace on embedded defaults and the CRM example, in one process (the example's monolith is a second, as it would be).
 * Arguments: `--port N` moves Millrace, `--ports any` takes free ports for everything, `--data DIR` keeps the data elsewhere,
 * `--json` prints one line when ready.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startCrm, ANY_PORTS, CRM_PORTS, type Crm } from '../examples/crm/server/start.ts';
import { issueDevToken } from '../packages/server/src/access/dev-tokens.ts';
import { namePort } from '../packages/server/src/cli/port-taken.ts';
import { loadConfig, processEnvironment } from '../packages/server/src/server/config.ts';
import { type AllAddresses, removeRuntimeFile, withAllRoles, writeRuntimeFile } from '../packages/server/src/server/runtime-file.ts';
import { type RunningServer, startServer } from '../packages/server/src/server/start-server.ts';
import { toMillraceError } from '../packages/server/src/kit/errors.ts';
import { whenOrphaned } from './orphan.ts';
import { banner } from './start-banner.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    ports: { type: 'string' },
    data: { type: 'string', default: '.millrace' },
    json: { type: 'boolean', default: false },
  },
});
const anyPorts = values.ports === 'any';
const began = performance.now();
const running: { stop(): Promise<void> }[] = [];
let ending = false;

/** Everything that was started ends, the last first; a second signal does not wait. */
async function end(code: number): Promise<never> {
  if (ending) process.exit(code === 0 ? 130 : code);
  ending = true;
  removeRuntimeFile(values.data, process.pid);
  for (const part of running.toReversed()) await part.stop().catch((error: unknown) => step(`while stopping: ${String(error)}`));
  process.exit(code);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(0));
whenOrphaned(() => void end(1));

function step(text: string): void {
  if (!values.json) process.stdout.write(`${text}\n`);
}

async function startMillrace(): Promise<RunningServer> {
  step('starting Millrace: registry, gateway, edge, ingest');
  const flags = new Map([
    ['data', values.data],
    ...(anyPorts ? [['port', '0'] as const] : values.port === undefined ? [] : [['port', values.port] as const]),
  ]);
  const { config } = await loadConfig({ cwd: process.cwd(), environment: processEnvironment(), flags, forced: new Map([['mode', 'dev']]) });
  const server = await startServer(config);
  running.push({ stop: () => server.stop('the terminal') });
  writeRuntimeFile(config.dataDir, { pid: process.pid, mode: 'dev', addresses: server.addresses });
  return server;
}

async function startExample(addresses: AllAddresses, token: string): Promise<Crm> {
  step('starting the CRM example: three subgraphs, the legacy monolith, the board');
  const crm = await startCrm({
    eventsUrl: addresses.events,
    graphqlUrl: addresses.graphql,
    wsUrl: addresses.ws,
    token,
    issueToken: (claims) => issueDevToken({ ...claims, expiresIn: '12h' }),
    dataDir: join(values.data, 'crm'),
    ports: anyPorts ? ANY_PORTS : CRM_PORTS,
  });
  running.push(crm);
  return crm;
}

try {
  const server = await startMillrace();
  const token = await issueDevToken({ tenant: 'crm', user: 'monolith', expiresIn: '365d' });
  const { registry } = server;
  const addresses = withAllRoles(server.addresses);
  const crm = await startExample(addresses, token);
  step('pushing the three schemas as one change');
  await registry?.pushAll(crm.subgraphs.map(({ name, url, sdl }) => ({ name, version: 'latest', url, sdl })));
  if (values.json) process.stdout.write(`${JSON.stringify({ ready: true, ...addresses, board: crm.boardUrl })}\n`);
  else process.stdout.write(banner(addresses, crm.boardUrl, performance.now() - began));
} catch (error) {
  const { message, code, cause } = toMillraceError(namePort(error));
  process.stderr.write(`error: ${code === 'INTERNAL' && cause instanceof Error ? (cause.stack ?? cause.message) : message} (${code})\n`);
  await end(1);
}
