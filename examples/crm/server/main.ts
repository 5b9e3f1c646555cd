/**
 * The example on its own, beside a Millrace that already runs (`npx millrace dev`):
 *
 *   node examples/crm/server/main.ts [--millrace http://127.0.0.1:4000] [--registry http://127.0.0.1:4001] [--data DIR] [--ports 0]
 *
 * Starts everything, pushes the three schemas, prints one JSON line, and ends with Ctrl-C.
 */
import { parseArgs } from 'node:util';
import { issueDevToken } from '../../../packages/server/src/access/dev-tokens.ts';
import { pushSchemas } from './push-schemas.ts';
import { ANY_PORTS, CRM_PORTS, startCrm } from './start.ts';

const { values } = parseArgs({
  options: {
    millrace: { type: 'string', default: 'http://127.0.0.1:4000' },
    registry: { type: 'string', default: 'http://127.0.0.1:4001' },
    data: { type: 'string' },
    every: { type: 'string', default: '1500' },
    /** `0`: any free ports. */
    ports: { type: 'string' },
  },
});

const token = await issueDevToken({ tenant: 'crm', user: 'monolith', expiresIn: '30d' });
const crm = await startCrm({
  eventsUrl: new URL('/events', values.millrace).href,
  graphqlUrl: new URL('/graphql', values.millrace).href,
  token,
  issueToken: (claims) => issueDevToken({ ...claims, expiresIn: '12h' }),
  everyMs: Number(values.every),
  ports: values.ports === '0' ? ANY_PORTS : CRM_PORTS,
  ...(values.data === undefined ? {} : { dataDir: values.data }),
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void crm.stop().then(() => process.exit(0)));

try {
  await pushSchemas(values.registry, token, crm.subgraphs);
} catch (error) {
  console.error(`cannot push the schemas to ${values.registry}: ${error instanceof Error ? error.message : String(error)}`);
  await crm.stop();
  process.exit(1);
}
const subgraphs = crm.subgraphs.map(({ name, url }) => ({ name, url }));
console.log(JSON.stringify({ ready: true, board: crm.boardUrl, subgraphs, monolith: crm.monolith }));
