import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Authenticator, Identity } from '../../access/identity.ts';
import { accessErrors } from '../../access/errors.ts';
import { systemClock } from '../../kit/clock.ts';
import { MillraceError } from '../../kit/errors.ts';
import { silentLogger } from '../../kit/log.ts';
import { Metrics } from '../../kit/metrics.ts';
import { OriginPolicy } from '../../kit/origin-policy.ts';
import type { Generations } from '../../supergraph/generation.ts';
import { createGraphiqlPage } from '../graphiql.ts';
import { createGraphqlHttp, type GraphqlHttpOptions } from '../http.ts';
import { createGatewayMetrics } from '../metrics.ts';
import { createPipeline } from '../pipeline.ts';

/** `Bearer <user>` signs in; `Bearer bad` does not verify. */
export const fakeAuthenticator: Authenticator = {
  async authenticate(authorization) {
    if (authorization === undefined) return { kind: 'anonymous', tenant: null };
    const user = authorization.replace(/^Bearer /, '');
    if (user === 'bad') throw new MillraceError(accessErrors.TOKEN_INVALID, 'the token does not verify');
    return userIdentity(user);
  },
};

export function userIdentity(user: string, roles: readonly string[] = []): Identity & { kind: 'user' } {
  return {
    kind: 'user',
    tenant: 't1',
    user,
    roles,
    groups: [],
    scopes: [],
    expiresAt: null,
    issuer: 'test',
    tokenId: null,
    token: `token-of-${user}`,
  };
}

export async function startGateway(generations: Generations, options: Partial<GraphqlHttpOptions> & { readonly dist?: string } = {}) {
  const metrics = new Metrics();
  const gatewayMetrics = createGatewayMetrics(metrics);
  const { dist, ...httpOptions } = options;
  const state = { accepting: true, streamed: 0 };
  const http = createGraphqlHttp(
    {
      pipeline: createPipeline({ generations, clock: systemClock, metrics: gatewayMetrics, log: silentLogger }),
      authenticator: fakeAuthenticator,
      origins: new OriginPolicy({ allowed: ['https://app.example.com'], loopback: false }),
      accepting: () => state.accepting,
      stream: (_req, res) => {
        state.streamed++;
        res.writeHead(200, { 'content-type': 'text/event-stream' }).end();
      },
      graphiql: dist === undefined ? null : createGraphiqlPage(dist),
      metrics: gatewayMetrics,
      log: silentLogger,
      clock: systemClock,
    },
    httpOptions,
  );
  const server = createServer((req, res) => http.handle(req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    handle: http.handle,
    url: `http://127.0.0.1:${port}/graphql`,
    port,
    metrics,
    state,
    async [Symbol.asyncDispose](): Promise<void> {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
