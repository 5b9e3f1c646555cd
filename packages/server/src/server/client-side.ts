import type { Channels } from '../channels/channels.ts';
import { createGatewayMetrics, type GatewayMetrics } from '../gateway/metrics.ts';
import { createGraphiqlPage } from '../gateway/graphiql.ts';
import { type GraphqlHttp, createGraphqlHttp } from '../gateway/http.ts';
import { createPipeline } from '../gateway/pipeline.ts';
import { BodyBudget } from '../kit/http-message.ts';
import { OriginPolicy } from '../kit/origin-policy.ts';
import { Wheel } from '../kit/wheel.ts';
import { createCursors } from '../live/cursors.ts';
import { createLiveEngine } from '../live/live-engine.ts';
import type { OperationPipeline } from '../live/operations.ts';
import { type LiveSessionHost, createSessionHost } from '../live/session-host.ts';
import type { ManagedGenerations } from '../supergraph/generations.ts';
import { CONNECTION_LIMITS, Connections } from '../transports/connections.ts';
import { type GraphqlSseTransport, createGraphqlSse } from '../transports/graphql-sse.ts';
import { type GraphqlWsTransport, createGraphqlWs } from '../transports/graphql-ws.ts';
import { createTransportsMetrics } from '../transports/metrics.ts';
import type { Base } from './base.ts';
import { clientAddresses } from './client-address.ts';
import { consoleFolder } from './console-folder.ts';
import { cursorKeys } from './cursor-keys.ts';
import { sendElsewhere } from './roles.ts';

export type ClientSide = {
  /** Null without the role gateway. */
  readonly http: GraphqlHttp | null;
  /** Null without the role edge. */
  readonly edge: EdgeSide | null;
  /** New requests are refused from here on. */
  refuseNew(): void;
};

export type EdgeSide = {
  readonly ws: GraphqlWsTransport;
  readonly sse: GraphqlSseTransport;
  readonly sessions: LiveSessionHost;
  readonly connections: Connections;
};

/** Shared by the three ways in. */
type Shared = {
  readonly pipeline: OperationPipeline;
  readonly origins: OriginPolicy;
  readonly bodies: BodyBudget;
  readonly gatewayMetrics: GatewayMetrics;
};

/** The end of path (a) and path (b): matching and groups, sessions, the pipeline, and the three ways in for clients. */
export function openClientSide(base: Base, generations: ManagedGenerations | null, channels: Channels | null): ClientSide {
  let refusing = false;
  const refuseNew = (): void => void (refusing = true);
  if (generations === null) return { http: null, edge: null, refuseNew };
  const { clock, log, metrics, rooms, tracer } = base;
  const gatewayMetrics = createGatewayMetrics(metrics);
  const pipeline = createPipeline({ generations, clock, metrics: gatewayMetrics, log, tracer }, rooms.pipeline);
  const shared = { pipeline, origins: new OriginPolicy(rooms.origins), bodies: new BodyBudget(), gatewayMetrics };
  const edge = base.has('edge') && channels !== null ? openEdge(base, shared, generations, channels) : null;
  const http = base.has('gateway') ? openGateway(base, shared, edge, () => !refusing) : null;
  return { http, edge, refuseNew };
}

function openEdge(base: Base, shared: Shared, generations: ManagedGenerations, channels: Channels): EdgeSide {
  const { clock, log, metrics, random, rooms, config, authenticator, closing } = base;
  const { pipeline, origins, bodies } = shared;
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
    tracer: base.tracer,
  });
  closing.defer(() => live.close());
  const sessions = createSessionHost({ authenticator, pipeline, live, clock, metrics, log, random, limits: rooms.sessions });
  closing.defer(() => sessions.close());
  const transportsMetrics = createTransportsMetrics(metrics);
  const connections = new Connections(transportsMetrics, { ...CONNECTION_LIMITS, ...rooms.connections });
  const wheel = new Wheel(clock);
  closing.defer(() => wheel.close());
  const addressOf = clientAddresses(config.transports.trustedProxies);
  const deps = { host: sessions, connections, origins, wheel, clock, metrics: transportsMetrics, log, addressOf };
  const ws = createGraphqlWs(deps, rooms.graphqlWs);
  const identify = (authorization: string | undefined) => authenticator.authenticate(authorization);
  const sse = createGraphqlSse({ ...deps, identify, bodies, random }, rooms.graphqlSse);
  return { ws, sse, sessions, connections };
}

function openGateway(base: Base, shared: Shared, edge: EdgeSide | null, accepting: () => boolean): GraphqlHttp {
  const { clock, log, random, config, authenticator } = base;
  const { pipeline, origins, bodies, gatewayMetrics } = shared;
  return createGraphqlHttp(
    {
      pipeline,
      authenticator,
      origins,
      accepting,
      stream: (req, res) => (edge ? edge.sse.handle(req, res) : sendElsewhere(res, 'edge', config.roles)),
      bodies,
      graphiql: config.gateway.graphiql ? createGraphiqlPage(consoleFolder() ?? '') : null,
      metrics: gatewayMetrics,
      log,
      clock,
      random,
    },
    { maxBodyBytes: config.gateway.maxBodyBytes },
  );
}
