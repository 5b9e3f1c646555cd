import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { refuseUpgrade } from '../kit/http-message.ts';
import type { Logger } from '../kit/log.ts';
import type { OriginPolicy } from '../kit/origin-policy.ts';
import type { Wheel } from '../kit/wheel.ts';
import type { SessionHost } from '../live/session.ts';
import { clientInfoOfHeaders, socketAddress } from './client-info.ts';
import type { Connections } from './connections.ts';
import { transportsErrors } from './errors.ts';
import { GraphqlWsConnection, type GraphqlWsShared } from './graphql-ws-connection.ts';
import { PROTOCOL_LIMITS, type ProtocolLimits } from './graphql-ws-protocol.ts';
import type { TransportsMetrics } from './metrics.ts';
import { handshakeOf } from './websocket/handshake.ts';
import { answersEarlier } from './websocket/socket-port.ts';
import { SocketTurn } from './websocket/turn-socket.ts';
import { sharedWebSockets } from './websocket/web-socket.ts';

/** Normative: spec/protocol.md section 3. Times in ms, sizes in bytes. */
export type GraphqlWsOptions = {
  /** One message, before and after inflating. */
  readonly maxMessageBytes: number;
  /** From the upgrade to connection_init. */
  readonly initTimeoutMs: number;
  /** From connection_init to its answer. */
  readonly openTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly pongTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly maxPongBacklogBytes: number;
  /** Every different frame is compressed once, whoever gets it; about 100 µs each. For slow mobile links, not by default. */
  readonly compression: boolean;
  readonly protocol: ProtocolLimits;
};

export const GRAPHQL_WS_DEFAULTS: GraphqlWsOptions = {
  maxMessageBytes: 256 * 1024,
  initTimeoutMs: 3_000,
  openTimeoutMs: 10_000,
  keepAliveMs: 30_000,
  pongTimeoutMs: 15_000,
  closeTimeoutMs: 5_000,
  maxPongBacklogBytes: 256 * 1024,
  compression: false,
  protocol: PROTOCOL_LIMITS,
};

export type TransportDeps = {
  readonly host: SessionHost;
  readonly connections: Connections;
  readonly origins: OriginPolicy;
  readonly wheel: Wheel;
  readonly clock: Clock;
  readonly metrics: TransportsMetrics;
  readonly log: Logger;
  /** For limits only. Default: the socket's remote address. */
  readonly addressOf?: (req: IncomingMessage) => string;
};

export interface GraphqlWsTransport {
  /** For the HTTP server's `upgrade` event, where the path has been matched. Answers every request it is given. */
  handleUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
}

const SUBPROTOCOL = 'graphql-transport-ws';

/** A message in more pieces than this is no message: RFC 6455 section 10.4 leaves the limit to the implementation. */
const MAX_FRAGMENTS = 4_096;

export function createGraphqlWs(deps: TransportDeps, options: Partial<GraphqlWsOptions> = {}): GraphqlWsTransport {
  const settings: GraphqlWsOptions = { ...GRAPHQL_WS_DEFAULTS, ...options };
  const { host, wheel, metrics, log } = deps;
  const sockets = sharedWebSockets(new SocketTurn(), { maxMessageBytes: settings.maxMessageBytes, maxFragments: MAX_FRAGMENTS });
  const shared: GraphqlWsShared = { host, options: settings, wheel, sockets, metrics, log };
  const addressOf = deps.addressOf ?? socketAddress;
  const agreed = { subprotocol: SUBPROTOCOL, compression: settings.compression };
  return {
    handleUpgrade(req, socket, head) {
      const address = addressOf(req);
      if (answersEarlier(socket)) {
        log.debug({ address }, 'a WebSocket handshake came before the answer to an earlier request');
        metrics.refused.inc({ protocol: 'ws', code: 'HANDSHAKE' });
        return void socket.destroy();
      }
      const refusal = refusalOf(deps, req, address);
      if (refusal) {
        metrics.refused.inc({ protocol: 'ws', code: refusal.code });
        return refuse(socket, refusal);
      }
      const handshake = handshakeOf(req, agreed);
      if (handshake.kind === 'refused') {
        log.debug({ why: handshake.why, address }, 'a WebSocket handshake was malformed');
        metrics.refused.inc({ protocol: 'ws', code: 'HANDSHAKE' });
        return refuseUpgrade(socket, handshake.status, 'text/plain; charset=utf-8', handshake.why, handshake.headers);
      }
      // The client may have gone while its request was on the way.
      if (!socket.readable || !socket.writable) return void socket.destroy();
      if (socket instanceof Socket) socket.setTimeout(0).setNoDelay(true);
      socket.write(handshake.response);
      const facts = { authorization: req.headers.authorization, client: clientInfoOfHeaders(req), address };
      const connection = new GraphqlWsConnection(shared, socket, handshake.compression, facts);
      connection.open(deps.connections.add(connection, 'ws', address), handshake.subprotocol, head);
    },
  };
}

/** Before any work: page's origin, then room. */
function refusalOf(deps: TransportDeps, req: IncomingMessage, address: string): MillraceError | null {
  const verdict = deps.origins.judge(req.headers);
  if (verdict.kind === 'refused') {
    return new MillraceError(
      transportsErrors.ORIGIN_NOT_ALLOWED,
      `pages of ${verdict.origin.slice(0, 200)} may not connect to this server`,
    );
  }
  if (!deps.host.accepting()) return new MillraceError(transportsErrors.CONNECTION_LIMIT, 'the server takes no new connections');
  return deps.connections.refusal(address);
}

/** A refusal before the upgrade is an HTTP answer; browsers do not show it to the page, other clients do. */
function refuse(socket: Duplex, { spec, code, message }: MillraceError): void {
  const body = JSON.stringify({ error: { code, message } });
  refuseUpgrade(socket, spec.http, 'application/json; charset=utf-8', body, spec.retryable ? { 'retry-after': '5' } : {});
}
