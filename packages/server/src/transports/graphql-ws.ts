import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type PerMessageDeflateOptions, type RawData, WebSocket, WebSocketServer } from 'ws';
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
import { TurnWriter } from './turn.ts';

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
  /** Costs about 300 µs and tens of kilobytes per message and connection: for slow mobile links, not by default. */
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

/** Bounded: no context is kept between messages, small windows, few at a time. ws bounds inflated messages by maxPayload. */
const DEFLATE: PerMessageDeflateOptions = {
  threshold: 1_024,
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 11,
  concurrencyLimit: 10,
  zlibDeflateOptions: { level: 3, memLevel: 5 },
};

/** The connection travels on the socket object, so that event handlers are shared functions instead of closures per connection. */
class ClientSocket extends WebSocket {
  connection: GraphqlWsConnection | null = null;
}

export function createGraphqlWs(deps: TransportDeps, options: Partial<GraphqlWsOptions> = {}): GraphqlWsTransport {
  const settings: GraphqlWsOptions = { ...GRAPHQL_WS_DEFAULTS, ...options };
  const { host, wheel, metrics, log } = deps;
  const shared: GraphqlWsShared = { host, options: settings, wheel, turn: new TurnWriter(), metrics, log };
  const addressOf = deps.addressOf ?? socketAddress;
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    WebSocket: ClientSocket,
    maxPayload: settings.maxMessageBytes,
    perMessageDeflate: settings.compression ? DEFLATE : false,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  server.on('wsClientError', (error, socket, req) => {
    log.debug({ err: error, address: addressOf(req) }, 'a WebSocket handshake was malformed');
    metrics.refused.inc({ protocol: 'ws', code: 'HANDSHAKE' });
    refuseUpgrade(socket, 400, 'text/plain; charset=utf-8', '');
  });

  return {
    handleUpgrade(req, socket, head) {
      const address = addressOf(req);
      const refusal = refusalOf(deps, req, address);
      if (refusal) {
        metrics.refused.inc({ protocol: 'ws', code: refusal.code });
        return refuse(socket, refusal);
      }
      server.handleUpgrade(req, socket, head, (ws) => {
        const facts = { authorization: req.headers.authorization, client: clientInfoOfHeaders(req), address };
        const connection = new GraphqlWsConnection(shared, ws, socket, facts);
        ws.connection = connection;
        ws.on('message', onMessage).on('ping', onControl).on('pong', onControl).on('error', onError).on('close', onClose);
        connection.open(deps.connections.add(connection, 'ws', address), ws.protocol === SUBPROTOCOL);
      });
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

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  // `binaryType` stays at its default, so data is a Buffer.
  (this as ClientSocket).connection?.onMessage(data as Buffer, isBinary);
}

function onControl(this: WebSocket): void {
  (this as ClientSocket).connection?.onSignOfLife(false);
}

function onError(this: WebSocket, error: Error & { code?: string }): void {
  (this as ClientSocket).connection?.onError(error.code);
}

function onClose(this: WebSocket): void {
  (this as ClientSocket).connection?.onClose();
}
