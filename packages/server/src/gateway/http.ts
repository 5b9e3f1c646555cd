import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Authenticator } from '../access/identity.ts';
import type { Clock } from '../kit/clock.ts';
import { type ErrorSpec, MillraceError, toMillraceError } from '../kit/errors.ts';
import { type GraphqlParams, isMutation, type ParamsOutcome, paramsOfJson, paramsOfUrl } from '../kit/graphql-params.ts';
import { accepts, BodyBudget, contentType, decodeUtf8, negotiate, readBody, searchParams, sendText } from '../kit/http-message.ts';
import type { Logger } from '../kit/log.ts';
import { corsHeaders, type OriginPolicy } from '../kit/origin-policy.ts';
import { type Random, systemRandom } from '../kit/random.ts';
import type { OperationOutcome, OperationPipeline } from '../live/operations.ts';
import { ErrorMask, type ShownError } from './error-list.ts';
import { gatewayErrors } from './errors.ts';
import type { GraphiqlPage } from './graphiql.ts';
import type { GatewayMetrics } from './metrics.ts';

/** Normative: spec/protocol.md section 5. */
export type GraphqlHttpOptions = { readonly maxBodyBytes: number; readonly maxUrlBytes: number };

export const GRAPHQL_HTTP_DEFAULTS: GraphqlHttpOptions = { maxBodyBytes: 1024 * 1024, maxUrlBytes: 16 * 1024 };

export type GraphqlHttpDeps = {
  readonly pipeline: OperationPipeline;
  readonly authenticator: Authenticator;
  readonly origins: OriginPolicy;
  /** False while draining: 503. */
  readonly accepting: () => boolean;
  /** Takes requests that accept `text/event-stream`. */
  readonly stream: (req: IncomingMessage, res: ServerResponse) => void;
  /** Null: no page; GET without a query is then a bad request for browsers too. */
  readonly graphiql: GraphiqlPage | null;
  /** Shared with the other addresses that take bodies of clients. Default: one of its own. */
  readonly bodies?: BodyBudget;
  readonly metrics: GatewayMetrics;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random?: Random;
};

export interface GraphqlHttp {
  /** Answers every request it is given: `/graphql`, and `/graphql/assets/…`. */
  handle(req: IncomingMessage, res: ServerResponse): void;
}

const GRAPHQL_RESPONSE = 'application/graphql-response+json';
const JSON_TYPE = 'application/json';
const MEDIA_TYPES = [JSON_TYPE, GRAPHQL_RESPONSE] as const;
type MediaType = (typeof MEDIA_TYPES)[number];

const PREFLIGHT = {
  'access-control-allow-methods': 'GET, POST',
  'access-control-allow-headers': 'authorization, content-type, x-request-id, traceparent, graphql-client-name, graphql-client-version',
  'access-control-max-age': '600',
};

/** What the answer needs of the request, gathered before anything can go wrong. */
type Exchange = {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: string;
  readonly media: MediaType;
  readonly headers: Record<string, string>;
};

export function createGraphqlHttp(deps: GraphqlHttpDeps, options: Partial<GraphqlHttpOptions> = {}): GraphqlHttp {
  const handler = new HttpHandler(deps, { ...GRAPHQL_HTTP_DEFAULTS, ...options });
  return { handle: (req, res) => void handler.handle(req, res) };
}

class HttpHandler {
  readonly #deps: GraphqlHttpDeps;
  readonly #options: GraphqlHttpOptions;
  readonly #mask: ErrorMask;
  readonly #bodies: BodyBudget;
  /** Request ids are this and a count: unique across processes, without asking for randomness at each request. */
  readonly #name: string;
  #requests = 0;

  constructor(deps: GraphqlHttpDeps, options: GraphqlHttpOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#bodies = deps.bodies ?? new BodyBudget();
    this.#name = (deps.random ?? systemRandom).hex(6);
    this.#mask = new ErrorMask(deps.log, deps.metrics);
  }

  /** Never rejects. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const requestId = this.#requestId(req);
    const verdict = this.#deps.origins.judge(req.headers);
    const headers = { ...corsHeaders(verdict, this.#deps.origins, { credentials: false }), 'x-request-id': requestId };
    res.once('finish', () =>
      this.#deps.metrics.http.inc({ method: METHODS.has(req.method ?? '') ? req.method! : 'other', status: res.statusCode }),
    );
    const accepted = negotiate(req.headers.accept, MEDIA_TYPES);
    const exchange: Exchange = { req, res, requestId, media: accepted ?? JSON_TYPE, headers };
    try {
      if (req.method === 'OPTIONS') return void res.writeHead(204, { ...headers, ...PREFLIGHT }).end();
      if (this.#page(req, res)) return;
      if (accepts(req.headers.accept, 'text/event-stream')) return this.#deps.stream(req, res);
      if (accepted === null) throw refusal('NOT_ACCEPTABLE', `the Accept header takes neither ${MEDIA_TYPES.join(' nor ')}`);
      await this.#operation(exchange);
    } catch (thrown) {
      const error = toMillraceError(thrown);
      this.#send(exchange, error.spec.http, { errors: [this.#mask.ofThrown(error, requestId)] }, error.spec);
    }
  }

  #page(req: IncomingMessage, res: ServerResponse): boolean {
    const { graphiql } = this.#deps;
    if (graphiql === null || (req.method !== 'GET' && req.method !== 'HEAD')) return false;
    return graphiql.serve(req, res);
  }

  async #operation(x: Exchange): Promise<void> {
    if (!this.#deps.accepting()) throw refusal('SHUTTING_DOWN', 'the server is draining');
    // Before the body is read: whoever may not ask must not make us keep what he sends.
    const identity = await this.#deps.authenticator.authenticate(x.req.headers.authorization);
    const params = await this.#params(x.req);
    if (x.req.method === 'GET' && isMutation(params.query, params.operationName)) {
      throw refusal('METHOD_NOT_ALLOWED', 'a mutation cannot be run with GET; use POST');
    }
    const abort = new AbortController();
    // `close` also comes after a finished answer; an abort then would reach nobody, and making its DOMException costs microseconds.
    x.res.once('close', () => {
      if (!x.res.writableFinished) abort.abort();
    });
    const outcome = await this.#deps.pipeline.run(
      { ...params, lastCursor: null },
      {
        identity,
        transport: 'http',
        clientName: headerText(x.req, 'graphql-client-name') ?? headerText(x.req, 'apollographql-client-name'),
        clientVersion: headerText(x.req, 'graphql-client-version') ?? headerText(x.req, 'apollographql-client-version'),
        requestId: x.requestId,
        traceparent: headerText(x.req, 'traceparent'),
        signal: abort.signal,
      },
    );
    this.#answer(x, outcome);
  }

  #answer(x: Exchange, outcome: OperationOutcome): void {
    switch (outcome.kind) {
      case 'result':
        return this.#sendText(x, 200, outcome.text, {});
      case 'refused': {
        // With application/json a well-formed request is answered 200, whatever the document: GraphQL over HTTP, section 6.4.1.
        const status = outcome.status === 400 && x.media === JSON_TYPE ? 200 : outcome.status;
        return this.#sendText(x, status, `{"errors":${outcome.errors}}`, {
          ...(outcome.retryAfter === null ? {} : { 'retry-after': String(outcome.retryAfter) }),
          ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
        });
      }
      // The pipeline refuses subscriptions on this transport; a lease that came all the same must not stay.
      case 'live':
        outcome.lease.release();
        throw refusal('SUBSCRIPTION_NEEDS_STREAM', 'a subscription has more than one answer');
      case 'stream':
        void outcome.results[Symbol.asyncIterator]().return?.();
        throw refusal('SUBSCRIPTION_NEEDS_STREAM', 'a subscription has more than one answer');
    }
  }

  async #params(req: IncomingMessage): Promise<GraphqlParams> {
    const outcome = await this.#parse(req);
    if (outcome.kind === 'params') return outcome.params;
    throw refusal(outcome.kind === 'batch' ? 'BATCHING_NOT_SUPPORTED' : 'BAD_REQUEST', outcome.why);
  }

  async #parse(req: IncomingMessage): Promise<ParamsOutcome> {
    if (req.method === 'GET') {
      const url = req.url ?? '';
      if (url.length > this.#options.maxUrlBytes)
        throw refusal('BODY_TOO_LARGE', `the URL is over ${this.#options.maxUrlBytes} bytes; use POST`);
      return paramsOfUrl(searchParams(req));
    }
    if (req.method !== 'POST') throw refusal('METHOD_NOT_ALLOWED', `this address takes GET and POST, not ${req.method ?? 'this method'}`);
    const type = contentType(req.headers);
    if (type?.type !== JSON_TYPE) throw refusal('UNSUPPORTED_MEDIA_TYPE', 'the body must have Content-Type: application/json');
    if (type.charset !== null && type.charset !== 'utf-8' && type.charset !== 'utf8')
      throw refusal('UNSUPPORTED_MEDIA_TYPE', 'the body must be UTF-8');
    const body = await readBody(req, this.#options.maxBodyBytes, { budget: this.#bodies });
    if (body.kind === 'busy') throw refusal('BODIES_BUSY', 'too many bodies are arriving at once');
    if (body.kind === 'too-large') throw refusal('BODY_TOO_LARGE', `the body is over ${this.#options.maxBodyBytes} bytes`);
    if (body.kind === 'aborted') throw refusal('BAD_REQUEST', 'the request ended early');
    const text = decodeUtf8(body.bytes);
    return text === null ? { kind: 'invalid', why: 'the body is not UTF-8' } : paramsOfJson(text);
  }

  #send(x: Exchange, status: number, body: { readonly errors: readonly ShownError[] }, spec: ErrorSpec): void {
    this.#sendText(x, status, JSON.stringify(body), {
      ...(spec.retryable && (status === 429 || status === 503) ? { 'retry-after': '1' } : {}),
      ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
      ...(status === 405 ? { allow: x.req.method === 'GET' ? 'POST' : 'GET, POST' } : {}),
      // What is left of a body that was not read must not be taken for the next request.
      ...(status === 413 || status === 415 || (x.req.method === 'POST' && !x.req.complete) ? { connection: 'close' } : {}),
    });
  }

  #sendText(x: Exchange, status: number, text: string, headers: Record<string, string>): void {
    sendText(x.res, status, `${x.media}; charset=utf-8`, text, { ...x.headers, ...headers });
  }

  /** The client's own id, if it is one that logs and headers can carry, else a new one. */
  #requestId(req: IncomingMessage): string {
    const given = req.headers['x-request-id'];
    if (typeof given === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(given)) return given;
    this.#requests += 1;
    return `${this.#name}-${this.#requests.toString(36)}`;
  }
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'OPTIONS', 'HEAD']);

function headerText(req: IncomingMessage, name: string): string | null {
  const value = req.headers[name];
  return typeof value === 'string' && value !== '' ? value.slice(0, 64) : null;
}

function refusal(code: keyof typeof gatewayErrors, message: string): MillraceError {
  return new MillraceError(gatewayErrors[code], message);
}
