import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createGatewayRuntime } from '@graphql-hive/gateway-runtime';
import { unifiedGraphHandler } from '@graphql-hive/router-runtime';

/** Hive Gateway on `node:http`: argv is the supergraph's file, the planner (`stitching` or `rust`), and whether requests in flight are shared. */
const [file = '', planner, share] = process.argv.slice(2);

const gateway = createGatewayRuntime({
  supergraph: readFileSync(file, 'utf8'),
  logging: false,
  landingPage: false,
  graphiql: false,
  ...(planner === 'rust' ? { unifiedGraphHandler } : {}),
  inboundInflightRequestDeduplication: share === 'share',
  // On by default there: without it the peer too does the whole work of every request.
  transportEntries: { '*.http': { options: { deduplicateInflightRequests: share === 'share' } } },
});

const server = createServer((req, res) => void gateway(req, res));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ ready: true, graphql: `http://127.0.0.1:${port}/graphql` })}\n`);
});
process.on('SIGTERM', () => process.exit(0));
