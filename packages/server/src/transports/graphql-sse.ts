import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ErrorSpec, MillraceError, toMillraceError } from '../kit/errors.ts';
import { type GraphqlParams, isMutation, type ParamsOutcome, paramsOfJson, paramsOfUrl } from '../kit/graphql-params.ts';
import { BodyBudget, contentType, decodeUtf8, negotiate, readBody, searchParams, sendText } from '../kit/http-message.ts';
import { corsHeaders } from '../kit/origin-policy.ts';
import type { Random } from '../kit/random.ts';
import { systemRandom } from '../kit/random.ts';
import { closeReasons } from '../live/close-reasons.ts';
import type { GraphqlRequest } from '../live/session.ts';
import { clientInfoOfHeaders, socketAddress } from './client-info.ts';
import { transportsErrors } from './errors.ts';
import type { TransportDeps } from './graphql-ws.ts';
import { type Caller, sameCaller, sseAuthorization } from './sse-authority.ts';
import { sseDistinctCodec, sseSingleCodec } from './sse-codec.ts';
import { type SseShared, SseStream } from './sse-stream.ts';
import { TurnWriter } from './turn.ts';

/** Normative: spec/protocol.md section 4. Times in ms, sizes in bytes. */
export type GraphqlSseOptions = {
  readonly maxBodyBytes: number;
  readonly keepAliveMs: number;
  /** What EventSource is told to wait before it reconnects. */
  readonly retryMs: number;
  /** From PUT to the GET that opens the stream. */
  readonly reservationMs: number;
  readonly maxReservations: number;
  /** Of one user, or of one address where nobody is signed in. */
  readonly maxReservationsPerCaller: number;
  readonly maxBytesBeforeOpen: number;
  readonly maxIdLength: number;
  readonly closeTimeoutMs: number;
};

export const GRAPHQL_SSE_DEFAULTS: GraphqlSseOptions = {
  maxBodyBytes: 256 * 1024,
  keepAliveMs: 12_000,
  retryMs: 2_000,
  reservationMs: 10_000,
  maxReservations: 10_000,
  maxReservationsPerCaller: 100,
  maxBytesBeforeOpen: 64 * 1024,
  maxIdLength: 256,
  closeTimeoutMs: 5_000,
};

export type GraphqlSseDeps = TransportDeps & {
  /** Who this authorization is; rejects like the Authenticator. Ties the token of a reserved stream to whoever reserved it. */
  readonly identify: (authorization: string | undefined) => Promise<Caller>;
  /** Shared with the other addresses that take bodies of clients. Default: one of its own. */
  readonly bodies?: BodyBudget;
  readonly random?: Random;
};

export interface GraphqlSseTransport {
  /** Answers every request it is given, whatever its path. */
  handle(req: IncomingMessage, res: ServerResponse): void;
}

type Reservation = {
  readonly token: string;
  readonly stream: SseStream;
  readonly authorization: string | undefined;
  readonly caller: Caller;
};

/** One request on its way through the handler. */
type Exchange = {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly search: URLSearchParams;
  readonly cors: Record<string, string>;
  readonly authorization: string | undefined;
  readonly address: string;
};

const PREFLIGHT = {
  'access-control-allow-methods': 'GET, POST, PUT, DELETE',
  'access-control-allow-headers':
    'authorization, content-type, last-event-id, cache-control, x-graphql-event-stream-token, x-request-id, graphql-client-name, graphql-client-version',
  'access-control-max-age': '600',
};

export function createGraphqlSse(deps: GraphqlSseDeps, options: Partial<GraphqlSseOptions> = {}): GraphqlSseTransport {
  const handler = new SseHandler(deps, { ...GRAPHQL_SSE_DEFAULTS, ...options });
  return { handle: (req, res) => void handler.handle(req, res) };
}

class SseHandler {
  readonly #deps: GraphqlSseDeps;
  readonly #options: GraphqlSseOptions;
  readonly #shared: SseShared;
  readonly #random: Random;
  readonly #bodies: BodyBudget;
  readonly #addressOf: (req: IncomingMessage) => string;
  /** By token. Bounded by the connection limits; those not opened yet also by `maxReservations`. */
  readonly #streams = new Map<string, Reservation>();
  #reserved = 0;
  /** Reservations not opened yet, by whoever made them. */
  readonly #reservedBy = new Map<string, number>();

  constructor(deps: GraphqlSseDeps, options: GraphqlSseOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#shared = { options, wheel: deps.wheel, turn: new TurnWriter() };
    this.#random = deps.random ?? systemRandom;
    this.#bodies = deps.bodies ?? new BodyBudget();
    this.#addressOf = deps.addressOf ?? socketAddress;
  }

  /** Never rejects. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const verdict = this.#deps.origins.judge(req.headers);
    const cors = corsHeaders(verdict, this.#deps.origins, { credentials: true });
    try {
      if (verdict.kind === 'refused') {
        throw refusal('ORIGIN_NOT_ALLOWED', `pages of ${verdict.origin.slice(0, 200)} may not use this server`);
      }
      if (req.method === 'OPTIONS') return void res.writeHead(204, { ...cors, ...PREFLIGHT }).end();
      await this.#route({
        req,
        res,
        search: searchParams(req),
        cors,
        authorization: sseAuthorization(req, verdict, this.#deps.origins.any),
        address: this.#addressOf(req),
      });
    } catch (thrown) {
      this.#answerError(res, toMillraceError(thrown), cors);
    }
  }

  async #route(x: Exchange): Promise<void> {
    const header = x.req.headers['x-graphql-event-stream-token'];
    const token = (typeof header === 'string' ? header : null) ?? x.search.get('token');
    switch (x.req.method) {
      case 'PUT':
        return this.#reserve(x);
      case 'DELETE':
        return this.#stop(x, token);
      case 'GET':
        return token === null ? this.#distinct(x, paramsOfUrl(x.search)) : this.#open(x, token);
      case 'POST':
        return token === null ? this.#distinct(x, await this.#body(x)) : this.#operation(x, token);
      default:
        throw refusal('STREAM_METHOD', `this address does not take ${x.req.method ?? 'this method'}`);
    }
  }

  // ---- distinct connections -------------------------------------------------------------------------------------------------

  async #distinct(x: Exchange, outcome: ParamsOutcome): Promise<void> {
    requireEventStream(x.req);
    const params = checked(outcome);
    if (x.req.method === 'GET' && isMutation(params.query, params.operationName)) {
      throw refusal('STREAM_METHOD', 'a mutation cannot be run with GET; use POST');
    }
    const stream = await this.#session(x, new SseStream(this.#shared, sseDistinctCodec, () => undefined), this.#options.reservationMs);
    if (stream.state === 'closed') throw refusal('CONNECTION_LIMIT', 'the session could not be opened in time');
    // The client left while its token was being verified; nobody else would end the session.
    if (x.res.destroyed) return stream.close(closeReasons.goingAway);
    stream.open(x.res, x.cors);
    const request: GraphqlRequest = { ...params, lastCursor: lastEventId(x) };
    stream.start(
      '',
      (onEnd) => stream.session?.start('', request, onEnd),
      () => undefined,
    );
  }

  // ---- single connection ----------------------------------------------------------------------------------------------------

  async #reserve(x: Exchange): Promise<void> {
    if (this.#reserved >= this.#options.maxReservations) {
      throw refusal('STREAM_LIMIT', `${this.#reserved} streams are reserved and not opened, the limit`);
    }
    const token = this.#random.hex(16);
    this.#reserved += 1;
    let owner: string | null = null;
    let waiting = true;
    const taken = (): void => {
      if (!waiting) return;
      waiting = false;
      this.#reserved -= 1;
      if (owner !== null) this.#countOf(owner, -1);
      this.#deps.metrics.reservations.set(this.#reserved);
    };
    const stream = new SseStream(this.#shared, sseSingleCodec, () => {
      this.#streams.delete(token);
      taken();
    });
    await this.#session(x, stream, this.#options.reservationMs).catch((thrown: unknown) => {
      stream.close(closeReasons.forbidden);
      throw thrown;
    });
    if (stream.state === 'closed' || !stream.session) throw refusal('STREAM_NOT_FOUND', 'the reservation ran out of time');
    const caller: Caller = stream.session.identity;
    const key = caller.kind === 'user' ? JSON.stringify([caller.tenant, caller.user]) : x.address;
    if (this.#countOf(key, 0) >= this.#options.maxReservationsPerCaller) {
      stream.close(closeReasons.tryAgainLater);
      throw refusal('STREAM_LIMIT', `you have ${this.#options.maxReservationsPerCaller} streams reserved and not opened, the limit`);
    }
    owner = key;
    this.#countOf(key, 1);
    this.#deps.metrics.reservations.set(this.#reserved);
    this.#streams.set(token, { token, stream, authorization: x.authorization, caller });
    this.#onOpen.set(stream, taken);
    sendText(x.res, 201, 'text/plain; charset=utf-8', token, x.cors);
  }

  readonly #onOpen = new WeakMap<SseStream, () => void>();

  #countOf(owner: string, by: 1 | 0 | -1): number {
    const count = (this.#reservedBy.get(owner) ?? 0) + by;
    if (count > 0) this.#reservedBy.set(owner, count);
    else this.#reservedBy.delete(owner);
    return count;
  }

  async #open(x: Exchange, token: string): Promise<void> {
    requireEventStream(x.req);
    const { stream } = await this.#find(x, token, 'ticket');
    // It left while its token was being verified; an opened stream would never hear of it. The reservation runs out by itself.
    if (x.res.destroyed) return;
    if (stream.state === 'open') throw refusal('STREAM_OPEN', 'the stream of this token is already open');
    this.#onOpen.get(stream)?.();
    stream.open(x.res, x.cors);
  }

  async #operation(x: Exchange, token: string): Promise<void> {
    const { stream } = await this.#find(x, token, 'same caller');
    const params = checked(await this.#body(x));
    const id = params.extensions['operationId'];
    if (typeof id !== 'string' || id === '' || id.length > this.#options.maxIdLength) {
      throw refusal('OPERATION_ID_MISSING', `extensions.operationId must be a string of 1 to ${this.#options.maxIdLength} characters`);
    }
    if (stream.operations.has(id)) throw refusal('OPERATION_EXISTS', 'an operation with this operationId runs on the stream');
    const { session } = stream;
    if (!session) throw refusal('STREAM_NOT_FOUND', 'the stream has closed');
    let answered = false;
    const answer = (status: number, body: string | null): void => {
      if (answered) return;
      answered = true;
      if (body === null) x.res.writeHead(status, { ...x.cors, 'content-length': 0 }).end();
      else sendText(x.res, status, 'application/json; charset=utf-8', body, x.cors);
    };
    const request: GraphqlRequest = { ...params, lastCursor: null };
    stream.start(
      id,
      (onEnd) =>
        session.start(id, request, onEnd, (refused) =>
          refused ? answer(refused.status, `{"errors":${refused.errors}}`) : answer(202, null),
        ),
      // Over before it said whether it runs: stopped by DELETE, or by the end of the stream.
      () => answer(202, null),
    );
  }

  async #stop(x: Exchange, token: string | null): Promise<void> {
    if (token === null) throw refusal('STREAM_NOT_FOUND', 'DELETE needs the token of a stream');
    const { stream } = await this.#find(x, token, 'same caller');
    const id = x.search.get('operationId');
    if (!id) throw refusal('OPERATION_ID_MISSING', 'DELETE needs ?operationId=');
    const end = stream.operations.get(id);
    if (end) {
      stream.session?.stop(id);
      end();
    }
    x.res.writeHead(200, { ...x.cors, 'content-length': 0 }).end();
  }

  /** A `ticket` may come without authorization, since EventSource cannot send any; nothing may come with somebody else's. */
  async #find(x: Exchange, token: string, proof: 'ticket' | 'same caller'): Promise<Reservation> {
    const found = this.#streams.get(token);
    if (!found) throw refusal('STREAM_NOT_FOUND', 'no stream has this token; reserve one with PUT');
    if (x.authorization === found.authorization || (proof === 'ticket' && x.authorization === undefined)) return found;
    const caller = await this.#deps.identify(x.authorization);
    if (!sameCaller(caller, found.caller)) throw refusal('STREAM_FOREIGN', 'the stream was reserved by another identity');
    return found;
  }

  // ---- shared ---------------------------------------------------------------------------------------------------------------

  /** Counts the connection, then asks the host for a session. Rejects with the host's refusal, and then nothing is left behind. */
  async #session(x: Exchange, stream: SseStream, ms: number): Promise<SseStream> {
    const { host, connections } = this.#deps;
    if (!host.accepting()) throw refusal('CONNECTION_LIMIT', 'the server takes no new connections');
    const full = connections.refusal(x.address);
    if (full) throw full;
    stream.reserve(connections.add(stream, 'sse', x.address), ms);
    const client = clientInfoOfHeaders(x.req);
    try {
      const hello = { authorization: x.authorization, clientName: client.name, clientVersion: client.version, address: x.address };
      const session = await host.open(hello, stream);
      if (stream.state === 'closed') session.end();
      else stream.authenticated(session);
      return stream;
    } catch (thrown) {
      stream.close(closeReasons.forbidden);
      throw thrown;
    }
  }

  async #body(x: Exchange): Promise<ParamsOutcome> {
    const type = contentType(x.req.headers);
    if (type?.type !== 'application/json' || (type.charset !== null && type.charset !== 'utf-8' && type.charset !== 'utf8')) {
      throw refusal('STREAM_CONTENT_TYPE', 'the body must be application/json in UTF-8');
    }
    const body = await readBody(x.req, this.#options.maxBodyBytes, { budget: this.#bodies });
    if (body.kind === 'busy') throw refusal('STREAM_BUSY', 'too many bodies are arriving at once');
    if (body.kind === 'too-large') throw refusal('STREAM_BODY_TOO_LARGE', `the body is over ${this.#options.maxBodyBytes} bytes`);
    if (body.kind === 'aborted') throw refusal('STREAM_BAD_REQUEST', 'the request ended early');
    const text = decodeUtf8(body.bytes);
    return text === null ? { kind: 'invalid', why: 'the body is not UTF-8' } : paramsOfJson(text);
  }

  #answerError(res: ServerResponse, error: MillraceError, cors: Record<string, string>): void {
    if (error.spec.class === 'internal') this.#deps.log.error({ err: error.cause ?? error }, 'a stream request failed');
    this.#deps.metrics.refused.inc({ protocol: 'sse', code: error.code });
    if (res.headersSent) return void res.destroy();
    const { http } = error.spec;
    sendText(
      res,
      http,
      'application/json; charset=utf-8',
      JSON.stringify({ errors: [{ message: error.message, extensions: { code: error.code } }] }),
      {
        ...cors,
        ...(error.spec.retryable && error.spec.class === 'limit' ? { 'retry-after': '5' } : {}),
        ...(http === 401 ? { 'www-authenticate': 'Bearer' } : {}),
        ...(http === 405 ? { allow: 'GET, POST, PUT, DELETE' } : {}),
        // What is left of a body that was not read must not be taken for the next request.
        ...(http === 413 || error.code === 'STREAM_BUSY' ? { connection: 'close' } : {}),
      },
    );
  }
}

function refusal(code: keyof typeof transportsErrors, message: string): MillraceError {
  const spec: ErrorSpec = transportsErrors[code];
  return new MillraceError(spec, message);
}

function requireEventStream(req: IncomingMessage): void {
  if (negotiate(req.headers.accept, ['text/event-stream']) === null) {
    throw refusal('STREAM_NOT_ACCEPTABLE', 'this address answers with text/event-stream, which the Accept header does not take');
  }
}

function checked(outcome: ParamsOutcome): GraphqlParams {
  if (outcome.kind !== 'params') throw refusal('STREAM_BAD_REQUEST', outcome.why);
  return outcome.params;
}

/** Where an EventSource stopped reading: the header of a reconnect, or the URL of a page that remembers it. Cursors are short. */
function lastEventId(x: Exchange): string | null {
  const header = x.req.headers['last-event-id'];
  const value = (typeof header === 'string' ? header : null) ?? x.search.get('lastEventId');
  return value === null || value === '' || value.length > 1_024 ? null : value;
}
