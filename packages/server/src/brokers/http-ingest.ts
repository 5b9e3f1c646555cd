import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Clock, systemClock } from '../kit/clock.ts';
import { MillraceError, toMillraceError } from '../kit/errors.ts';
import { searchParams, sendText } from '../kit/http-message.ts';
import type { Logger } from '../kit/log.ts';
import { validTraceparent } from '../kit/traceparent.ts';
import type { Span, Tracer } from '../kit/tracer.ts';
import { type BodyBounds, BodyReader } from './body-reader.ts';
import type { DeadLetters } from './dead-letters.ts';
import { brokersErrors } from './errors.ts';
import type { EventIntake, IntakeItem } from './event-intake.ts';
import type { AppendResult, EventSink, SinkRecord } from './event-sink.ts';
import type { BrokersMetrics } from './metrics.ts';

export type HttpIngestOptions = BodyBounds & {
  /** Seconds in Retry-After, under back-pressure. */
  readonly retryAfterSeconds: number;
};

export const HTTP_INGEST_DEFAULTS: HttpIngestOptions = {
  maxBodyBytes: 8 * 1024 * 1024,
  maxInFlightBytes: 64 * 1024 * 1024,
  bodyTimeoutMs: 30_000,
  retryAfterSeconds: 1,
};

export type HttpIngestDeps = {
  readonly sink: EventSink;
  readonly deadLetters: DeadLetters;
  readonly intake: EventIntake;
  /** Resolves where the caller may publish; else rejects with a MillraceError of class `auth`. Asked before the body is read. */
  authorize(authorization: string | undefined): Promise<unknown>;
  readonly logger: Logger;
  readonly metrics: BrokersMetrics;
  readonly clock?: Clock;
  readonly tracer?: Tracer;
};

/** One line of the answer, in the order sent. */
export type EventAnswer =
  | { readonly id: string | null; readonly status: 'accepted' | 'duplicate' }
  | { readonly id: string | null; readonly status: 'rejected'; readonly code: string; readonly reason: string };

type Answer = { readonly status: number; readonly code: string; readonly body: unknown };

/**
 * A body that declares at most this size is swallowed rather than the connection closed, when the answer comes before its end: a
 * connection closed on a client that is still sending is reset, and the answer may be lost with it.
 */
const SWALLOW_BYTES = 32 * 1024 * 1024;

/**
 * `POST /events`. Answers 202 when everything accepted is on disk. Never rejects: every failure is an answer with a code.
 * Normative: spec/ingest.md.
 */
export function createHttpIngest(
  deps: HttpIngestDeps,
  options: Partial<HttpIngestOptions> = {},
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  const settings = { ...HTTP_INGEST_DEFAULTS, ...options };
  const clock = deps.clock ?? systemClock;
  const bodies = new BodyReader(settings, clock);
  bodies.onInFlight = (bytes) => deps.metrics.doorInFlightBytes.set(bytes);
  return async (req, res) => {
    let answer: Answer;
    try {
      answer = await handle(req, deps, bodies, clock);
    } catch (thrown) {
      answer = failure(toMillraceError(thrown), deps.logger);
    }
    deps.metrics.doorRequests.inc({ code: answer.code });
    send(req, res, answer, settings.retryAfterSeconds);
  };
}

async function handle(req: IncomingMessage, deps: HttpIngestDeps, bodies: BodyReader, clock: Clock): Promise<Answer> {
  if (req.method !== 'POST') throw new MillraceError(brokersErrors.INGEST_METHOD, 'the events address takes POST only');
  await deps.authorize(req.headers.authorization);
  const { bytes, hold } = await bodies.read(req);
  try {
    deps.metrics.doorBytes.inc(bytes.length);
    const start = clock.monotonic();
    const answer = await take(bytes, req, deps, clock.now());
    deps.metrics.doorSeconds.observe((clock.monotonic() - start) / 1000);
    return answer;
  } finally {
    hold.release();
  }
}

async function take(bytes: Uint8Array, req: IncomingMessage, deps: HttpIngestDeps, receivedAt: number): Promise<Answer> {
  const inspected = deps.intake.inspect({ bytes, headers: req.headers, topic: searchParams(req).get('topic') ?? '', receivedAt });
  if (inspected.kind === 'refused') throw new MillraceError(inspected.spec, inspected.reason);
  const { single, items } = inspected;
  const span = deps.tracer?.enabled
    ? deps.tracer.child('ingest.append', validTraceparent(req.headers['traceparent']), { 'millrace.records': items.length })
    : null;
  const results = await (span === null ? store(items, deps) : storeTraced(items, span, deps));
  const events = answersOf(items, results, deps.metrics);
  const refusal = single && items.length === 1 && items[0]?.kind === 'refused' ? items[0] : null;
  if (refusal) {
    const { spec, reason } = refusal;
    return { status: spec.http, code: spec.code, body: { error: { code: spec.code, message: reason, retryable: spec.retryable }, events } };
  }
  return { status: 202, code: 'OK', body: { events } };
}

/** What happens to the records later, here or behind a broker, is a child of their append. */
async function storeTraced(items: readonly IntakeItem[], span: Span, deps: HttpIngestDeps): Promise<readonly AppendResult[]> {
  const below = (record: SinkRecord): SinkRecord => ({ ...record, headers: new Map(record.headers).set('traceparent', span.traceparent) });
  try {
    const results = await store(
      items.map((item) => (item.kind === 'event' ? { ...item, record: below(item.record) } : item)),
      deps,
    );
    span.end();
    return results;
  } catch (error) {
    span.end(toMillraceError(error).code);
    throw error;
  }
}

/** Events and dead letters go into the same group commit. Rejects when either could not be stored: the producer sends all of it again. */
async function store(items: readonly IntakeItem[], { sink, deadLetters }: HttpIngestDeps): Promise<readonly AppendResult[]> {
  const records: SinkRecord[] = [];
  const letters: Promise<string>[] = [];
  for (const item of items) if (item.kind === 'event') records.push(item.record);
  const appended = records.length > 0 ? sink.append(records) : Promise.resolve<readonly AppendResult[]>([]);
  for (const item of items) {
    if (item.kind === 'event' || item.letter === null) continue;
    const error = `${item.spec.code}: ${item.reason}`;
    letters.push(
      deadLetters.add({
        record: item.letter,
        position: 'http',
        code: item.spec.code,
        reason: item.reason,
        attempts: 0,
        firstError: error,
        lastError: error,
      }),
    );
  }
  const [results] = await Promise.all([appended, ...letters]);
  // Fewer answers than records would tell a producer "accepted" of an event that is nowhere.
  if (results.length !== records.length) throw new Error(`the sink answered ${results.length} of ${records.length} records`);
  return results;
}

function answersOf(items: readonly IntakeItem[], results: readonly AppendResult[], metrics: BrokersMetrics): readonly EventAnswer[] {
  let next = 0;
  const counts = { accepted: 0, duplicate: 0, rejected: 0 };
  const answers = items.map((item): EventAnswer => {
    if (item.kind === 'refused') {
      counts.rejected += 1;
      return { id: item.id, status: 'rejected', code: item.spec.code, reason: item.reason };
    }
    const { status } = results[next++]!;
    counts[status] += 1;
    return { id: item.id, status };
  });
  for (const status of ['accepted', 'duplicate', 'rejected'] as const)
    if (counts[status] > 0) metrics.doorEvents.inc({ status }, counts[status]);
  return answers;
}

function failure(error: MillraceError, logger: Logger): Answer {
  const { spec } = error;
  if (spec.class === 'internal') logger.error({ err: error.cause ?? error }, 'the events address failed');
  return { status: spec.http, code: spec.code, body: { error: { code: spec.code, message: error.message, retryable: spec.retryable } } };
}

function send(req: IncomingMessage, res: ServerResponse, { status, code, body }: Answer, retryAfterSeconds: number): void {
  const headers: Record<string, string> = {};
  if (status === 503 || status === 429) headers['retry-after'] = String(retryAfterSeconds);
  if (code === 'INGEST_METHOD') headers['allow'] = 'POST';
  if (status === 401) headers['www-authenticate'] = 'Bearer';
  // An answer before the end of a body: a bounded rest is read and thrown away, a large or endless one ends with the connection.
  if (!req.complete) {
    if (Number(req.headers['content-length'] ?? Number.POSITIVE_INFINITY) <= SWALLOW_BYTES) req.resume();
    else headers['connection'] = 'close';
  }
  sendText(res, status, 'application/json; charset=utf-8', JSON.stringify(body), headers);
}
