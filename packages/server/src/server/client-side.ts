import type { Channels } from '../channels/channels.ts';
import { createGatewayMetrics } from '../gateway/metrics.ts';
import { createGraphiqlPage } from '../gateway/graphiql.ts';
import { type GraphqlHttp, createGraphqlHttp } from '../gateway/http.ts';
import { createPipeline } from '../gateway/pipeline.ts';
import { BodyBudget } from '../kit/http-message.ts';
import { OriginPolicy } from '../kit/origin-policy.ts';
import { Wheel } from '../kit/wheel.ts';
import { createCursors } from '../live/cursors.ts';
import { createLiveEngine } from '../live/live-engine.ts';
import { type LiveSessionHost, createSessionHost } from '../live/session-host.ts';
import { CONNECTION_LIMITS, Connections } from '../transports/connections.ts';
import { type GraphqlSseTransport, createGraphqlSse } from '../transports/graphql-sse.ts';
import { type GraphqlWsTransport, createGraphqlWs } from '../transports/graphql-ws.ts';
import { createTransportsMetrics } from '../transports/metrics.ts';
import type { Base } from './base.ts';
import { consoleFolder } from './console-folder.ts';
import { cursorKeys } from './cursor-keys.ts';
import type { Graph } from './graph.ts';

export type ClientSide = {
  readonly http: GraphqlHttp;
  readonly ws: GraphqlWsTransport;
  readonly sse: GraphqlSseTransport;
  readonly sessions: LiveSessionHost;
  readonly connections: Connections;
};

/** The end of path (a) and path (b): matching and groups, sessions, the pipeline, and the three ways in for clients. */
export function openClientSide(base: Base, { generations }: Graph, channels: Channels): ClientSide {
  const { clock, log, metrics, random, rooms, config, authenticator, closing } = base;
  const cursors = createCursors({ keys: cursorKeys(config.cursor, base.dataDir) });
  const live = createLiveEngine({
    channels,
    generations,
    cursors,
    clock,
    metrics,
    log,
    limits: rooms.live,
    enrichmentIdentity: config.enrichment.identity,
    forwardAuthorization: config.gateway.forwardAuthorization,
  });
  closing.defer(() => live.close());
  const gatewayMetrics = createGatewayMetrics(metrics);
  const pipeline = createPipeline({ generations, clock, metrics: gatewayMetrics, log }, rooms.pipeline);
  const sessions = createSessionHost({ authenticator, pipeline, live, clock, metrics, log, random, limits: rooms.sessions });
  closing.defer(() => sessions.close());

  const transportsMetrics = createTransportsMetrics(metrics);
  const connections = new Connections(transportsMetrics, { ...CONNECTION_LIMITS, ...rooms.connections });
  const origins = new OriginPolicy(rooms.origins);
  const wheel = new Wheel(clock);
  closing.defer(() => wheel.close());
  const bodies = new BodyBudget();
  const deps = { host: sessions, connections, origins, wheel, clock, metrics: transportsMetrics, log };
  const ws = createGraphqlWs(deps, rooms.graphqlWs);
  const identify = (authorization: string | undefined) => authenticator.authenticate(authorization);
  const sse = createGraphqlSse({ ...deps, identify, bodies, random }, rooms.graphqlSse);
  const http = createGraphqlHttp(
    {
      pipeline,
      authenticator,
      origins,
      accepting: () => sessions.accepting(),
      stream: (req, res) => sse.handle(req, res),
      bodies,
      graphiql: config.gateway.graphiql ? createGraphiqlPage(consoleFolder() ?? '') : null,
      metrics: gatewayMetrics,
      log,
      clock,
      random,
    },
    { maxBodyBytes: config.gateway.maxBodyBytes },
  );
  return { http, ws, sse, sessions, connections };
}
