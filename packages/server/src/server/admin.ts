import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Authenticator } from '../access/identity.ts';
import { demand } from '../access/permissions.ts';
import type { DeadLetters } from '../brokers/dead-letters.ts';
import type { EventTrace, TraceEntry } from '../ingest/event-trace.ts';
import { MillraceError, toMillraceError } from '../kit/errors.ts';
import { sendText } from '../kit/http-message.ts';
import type { Logger } from '../kit/log.ts';
import type { Metrics } from '../kit/metrics.ts';
import { serverErrors } from './errors.ts';
import { type Role, sendElsewhere } from './roles.ts';

export type AdminDeps = {
  readonly authenticator: Authenticator;
  readonly metrics: Metrics;
  /** Null without the role ingest. */
  readonly ingest: { readonly deadLetters: DeadLetters; readonly trace: EventTrace } | null;
  readonly roles: readonly Role[];
  /** Null while ready; otherwise why not. */
  readonly notReady: () => string | null;
  /** Each value of the configuration and where it came from, secrets masked. */
  readonly explainConfig: () => unknown;
  readonly log: Logger;
};

type Exchange = { readonly req: IncomingMessage; readonly res: ServerResponse; readonly url: URL };
type Route = {
  readonly method: string;
  readonly pattern: RegExp;
  readonly open: boolean;
  run(exchange: Exchange, id: string): Promise<void> | void;
};

/** The operator's port: metrics and health for machines, dead letters and the passing events for the command line. docs/cli.md uses it. */
export function createAdmin(deps: AdminDeps): RequestListener {
  const routes = adminRoutes(deps);
  return (req, res) => {
    void answer(deps, routes, req, res).catch((thrown: unknown) => {
      const error = toMillraceError(thrown);
      if (error.spec.class === 'internal') deps.log.error({ err: error.cause, path: req.url }, 'admin request failed');
      refuse(res, error);
    });
  };
}

async function answer(deps: AdminDeps, routes: readonly Route[], req: IncomingMessage, res: ServerResponse): Promise<void> {
  // Put together, not resolved: `//` is a path here and no URL without a host, which would throw.
  const url = URL.parse(`http://admin.invalid${req.url ?? '/'}`);
  const here = url ? routes.filter((route) => route.pattern.test(url.pathname)) : [];
  if (deps.ingest === null && here.length === 0 && /^\/(dead-letters|events)/.test(url?.pathname ?? ''))
    return sendElsewhere(res, 'ingest', deps.roles);
  const route = here.find((r) => r.method === req.method || (r.method === 'GET' && req.method === 'HEAD'));
  if (url === null || here.length === 0)
    throw new MillraceError(
      serverErrors.NOT_FOUND,
      'the admin port serves /metrics, /health, /ready, /config, /dead-letters and /events/tail',
    );
  if (!route) {
    res.setHeader('allow', here.map((r) => r.method).join(', '));
    throw new MillraceError(serverErrors.METHOD_NOT_ALLOWED, `takes ${here.map((r) => r.method).join(', ')}, got ${req.method}`);
  }
  if (!route.open) demand(await deps.authenticator.authenticate(req.headers.authorization), 'admin');
  await route.run({ req, res, url }, decoded(route.pattern.exec(url.pathname)?.[1] ?? ''));
}

/** A step that is no percent-encoding stands for itself, and then names nothing that there is. */
function decoded(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}

function adminRoutes(deps: AdminDeps): readonly Route[] {
  const { metrics } = deps;
  const ingestRoutes = deps.ingest === null ? [] : routesOfIngest(deps.ingest);
  return [
    ...ingestRoutes,
    { method: 'GET', pattern: /^\/health$/, open: true, run: ({ res }) => sendJson(res, 200, { status: 'ok' }) },
    { method: 'GET', pattern: /^\/ready$/, open: true, run: ({ res }) => sendReady(res, deps.notReady()) },
    {
      method: 'GET',
      pattern: /^\/metrics$/,
      open: true,
      run: async ({ res }) => sendText(res, 200, metrics.registry.contentType, await metrics.text()),
    },
    { method: 'GET', pattern: /^\/config$/, open: false, run: ({ res }) => sendJson(res, 200, deps.explainConfig()) },
  ];
}

function routesOfIngest({ deadLetters, trace }: NonNullable<AdminDeps['ingest']>): readonly Route[] {
  return [
    {
      method: 'GET',
      pattern: /^\/dead-letters$/,
      open: false,
      run: async ({ res, url }) =>
        sendJson(res, 200, { count: await deadLetters.count(), letters: await deadLetters.list(listQuery(url)) }),
    },
    { method: 'GET', pattern: /^\/dead-letters\/([^/]+)$/, open: false, run: ({ res }, id) => showLetter(deadLetters, res, id) },
    { method: 'POST', pattern: /^\/dead-letters\/([^/]+)\/redrive$/, open: false, run: ({ res }, id) => redrive(deadLetters, res, id) },
    { method: 'GET', pattern: /^\/events\/tail$/, open: false, run: (exchange) => tail(trace, exchange) },
  ];
}

function listQuery(url: URL): Parameters<DeadLetters['list']>[0] {
  const limit = Number(url.searchParams.get('limit') ?? 100);
  const topic = url.searchParams.get('topic');
  const after = url.searchParams.get('after');
  return {
    limit: Number.isInteger(limit) ? Math.min(Math.max(limit, 1), 1_000) : 100,
    ...(topic === null ? {} : { topic }),
    ...(after === null ? {} : { after }),
  };
}

async function showLetter(deadLetters: DeadLetters, res: ServerResponse, id: string): Promise<void> {
  const letter = await deadLetters.show(id);
  if (!letter) throw unknownLetter(id);
  const { record, ...row } = letter;
  const value = record.value === null ? null : Buffer.from(record.value);
  sendJson(res, 200, {
    ...row,
    key: record.key,
    headers: Object.fromEntries(record.headers),
    timestamp: record.timestamp,
    /** The raw bytes: as text where they are UTF-8, and always in base64, which loses nothing. */
    text: value === null ? null : value.toString('utf8'),
    base64: value === null ? null : value.toString('base64'),
  });
}

async function redrive(deadLetters: DeadLetters, res: ServerResponse, id: string): Promise<void> {
  const result = await deadLetters.redrive(id);
  if (result === 'unknown') throw unknownLetter(id);
  sendJson(res, 200, { id, result });
}

function unknownLetter(id: string): MillraceError {
  return new MillraceError(serverErrors.DEAD_LETTER_UNKNOWN, `there is no dead letter ${JSON.stringify(id.slice(0, 64))}`);
}

/** Server-sent events: one trace entry each, and `skipped` with a count where this reader was too slow. Ends with the request. */
async function tail(trace: EventTrace, { res, url }: Exchange): Promise<void> {
  const subscription = trace.subscribe();
  if (!subscription) throw new MillraceError(serverErrors.TAIL_LISTENERS_EXHAUSTED, 'too many listeners follow the events already');
  // The response's close, not the request's: that one comes as soon as the request has been read.
  res.once('close', () => subscription.close());
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  res.flushHeaders();
  const wanted = (['tenant', 'type', 'topic'] as const)
    .map((name) => [name, url.searchParams.get(name)] as const)
    .filter(([, value]) => value !== null);
  const matches = (entry: TraceEntry): boolean => wanted.every(([name, value]) => entry[name] === value);
  for await (const { entries, skipped } of subscription) {
    let text = skipped > 0 ? `event: skipped\ndata: ${skipped}\n\n` : '';
    for (const entry of entries) if (matches(entry)) text += `data: ${JSON.stringify(entry)}\n\n`;
    if (text !== '' && !res.write(text)) await drained(res);
  }
  res.end();
}

/** Takes both listeners away again: one that stayed behind with every full buffer would add up over a long tail. */
function drained(res: ServerResponse): Promise<void> {
  if (res.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      res.off('drain', done).off('close', done);
      resolve();
    };
    res.on('drain', done).on('close', done);
  });
}

function sendReady(res: ServerResponse, why: string | null): void {
  sendJson(res, why === null ? 200 : 503, why === null ? { status: 'ready' } : { status: 'not ready', reason: why });
}

function sendJson(res: ServerResponse, status: number, body: unknown): void {
  sendText(res, status, 'application/json', JSON.stringify(body), { 'cache-control': 'no-store' });
}

function refuse(res: ServerResponse, error: MillraceError): void {
  if (res.headersSent) return void res.end();
  sendJson(res, error.spec.http, { error: { code: error.code, message: error.message } });
}
