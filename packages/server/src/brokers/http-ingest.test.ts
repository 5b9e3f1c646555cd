import { once } from 'node:events';
import { type ClientRequest, createServer, type IncomingHttpHeaders, request, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { dealType } from '../events/testing/deal-type.ts';
import { defineErrors, MillraceError } from '../kit/errors.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { type EmbeddedLog, openEmbeddedLog } from './embedded-log.ts';
import { createEventIntake } from './event-intake.ts';
import type { EventSink } from './event-sink.ts';
import { createHttpIngest, type HttpIngestDeps, type HttpIngestOptions } from './http-ingest.ts';
import { createBrokersMetrics } from './metrics.ts';
import { brokersErrors } from './errors.ts';

const authErrors = defineErrors({ DENIED: { class: 'auth', http: 401, retryable: false, meaning: 'm', action: 'a' } });

const DEAL = dealType();

const deal = (id: string, eventId: string, more: object = {}) => ({
  id,
  event_id: eventId,
  company_id: 'acme',
  action: 'changed',
  ...more,
});

type Door = { readonly url: string; readonly log: EmbeddedLog; readonly server: Server };
const doors: Door[] = [];
afterEach(async () => {
  for (const { server, log } of doors.splice(0)) {
    server.closeAllConnections();
    server.close();
    await log.close();
  }
});

async function open(options: Partial<HttpIngestOptions> = {}, over: Partial<HttpIngestDeps> = {}): Promise<Door> {
  const metrics = createBrokersMetrics(new Metrics());
  const log = openEmbeddedLog(':memory:', { logger: silentLogger, metrics });
  const topics = {
    has: (t: string) => t === 'crm.deals',
    typesOf: (t: string) => (t === 'crm.deals' ? [DEAL] : []),
    names: () => ['crm.deals'],
  };
  const authorize = async (authorization: string | undefined) => {
    if (authorization !== 'Bearer good') throw new MillraceError(authErrors.DENIED, 'no');
  };
  const intake = createEventIntake(topics, { maxEvents: 20 });
  const door = createHttpIngest(
    { sink: log.sink, deadLetters: log.deadLetters, intake, authorize, logger: silentLogger, metrics, ...over },
    options,
  );
  const server = createServer((req, res) => void door(req, res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const opened = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`, log, server };
  doors.push(opened);
  return opened;
}

type Reply = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Answer };
type Answer = { readonly events?: readonly Record<string, unknown>[]; readonly error?: Record<string, unknown> };

/** `write` sends the body, or as much of it as the test wants. */
function ask(url: string, headers: Record<string, string>, write: (req: ClientRequest) => void, method = 'POST'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const req = request(url, { method, headers: { authorization: 'Bearer good', ...headers } }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: JSON.parse(text) as Answer }));
    });
    req.on('error', reject);
    write(req);
  });
}

function post(door: Door, body: unknown, { query = '?topic=crm.deals', ...headers }: Record<string, string> = {}): Promise<Reply> {
  const bytes = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  return ask(door.url + query, { 'content-type': 'application/json', ...headers }, (req) => req.end(bytes));
}

async function logged(door: Door): Promise<readonly string[]> {
  const source = door.log.source('test');
  await source.open();
  const lag = await source.lag();
  return lag === 0 ? [] : (await source.pull(1000)).map((record) => Buffer.from(record.value ?? []).toString());
}

describe('POST /events: what it takes', () => {
  it('takes a plain object, a list, NDJSON, and CloudEvents in three modes, and answers in the order sent', async () => {
    const door = await open();
    expect(await post(door, deal('d1', 'e1'))).toMatchObject({ status: 202, body: { events: [{ id: 'e1', status: 'accepted' }] } });
    expect((await post(door, [deal('d1', 'e2'), deal('d2', 'e1'), deal('d3', 'e2')])).body.events).toEqual([
      { id: 'e2', status: 'accepted' },
      { id: 'e1', status: 'duplicate' },
      { id: 'e2', status: 'duplicate' },
    ]);
    const lines = `${JSON.stringify(deal('d1', 'e3'))}\n\n${JSON.stringify(deal('d1', 'e4'))}\n`;
    expect((await post(door, lines, { 'content-type': 'application/x-ndjson' })).body.events?.map((e) => e['id'])).toEqual(['e3', 'e4']);
    const event = { specversion: '1.0', type: 'crm.deals.changed', source: '/crm', data: deal('d1', 'ignored') };
    const structured = { query: '', 'content-type': 'application/cloudevents+json' };
    expect((await post(door, { ...event, id: 'c1' }, structured)).body.events).toEqual([{ id: 'c1', status: 'accepted' }]);
    const batch = { query: '', 'content-type': 'application/cloudevents-batch+json' };
    expect(
      (
        await post(
          door,
          [
            { ...event, id: 'c2' },
            { ...event, id: 'c1' },
          ],
          batch,
        )
      ).body.events,
    ).toEqual([
      { id: 'c2', status: 'accepted' },
      { id: 'c1', status: 'duplicate' },
    ]);
    const binary = { query: '', 'ce-specversion': '1.0', 'ce-type': 'crm.deals.changed', 'ce-source': '/crm', 'ce-id': 'c3' };
    expect((await post(door, deal('d1', 'ignored'), binary)).body.events).toEqual([{ id: 'c3', status: 'accepted' }]);
    expect((await logged(door)).length).toBe(7);
  });

  it('takes gzip, and keeps the bytes of each event as they were', async () => {
    const door = await open();
    const text = '{"id":"d1","event_id":"e1","company_id":"acme","action":"added","n":1.0}';
    expect((await post(door, gzipSync(`[ ${text} ]`), { 'content-encoding': 'gzip' })).status).toBe(202);
    expect(await logged(door)).toEqual([text]);
  });

  it('keeps no credentials in the log', async () => {
    const door = await open();
    await post(door, deal('d1', 'e1'), { cookie: 'session=secret' });
    const source = door.log.source('headers');
    await source.open();
    const [record] = await source.pull(1);
    expect([...(record?.headers.keys() ?? [])]).toEqual(['content-type']);
  });
});

describe('POST /events: what it rejects', () => {
  it('keeps a bad item of a batch as a dead letter with its own bytes, and takes the others', async () => {
    const door = await open();
    const bad = { id: 'd2', event_id: 'e2', action: 'changed' };
    const reply = await post(door, [deal('d1', 'e1'), bad, deal('d3', 'e3')]);
    expect(reply.status).toBe(202);
    expect(reply.body.events?.map((e) => [e['status'], e['code']])).toEqual([
      ['accepted', undefined],
      ['rejected', 'EVENT_TENANT_MISSING'],
      ['accepted', undefined],
    ]);
    const [row] = await door.log.deadLetters.list({ limit: 10 });
    expect(row).toMatchObject({ code: 'EVENT_TENANT_MISSING', topic: 'crm.deals', position: 'http', attempts: 0 });
    const letter = await door.log.deadLetters.show(row?.id ?? '');
    expect(Buffer.from(letter?.record.value ?? []).toString()).toBe(JSON.stringify(bad));
  });

  it('answers a single rejected event with the status of its code, and the events beside', async () => {
    const door = await open();
    const reply = await post(door, { id: 'd2', event_id: 'e2', action: 'changed' });
    expect(reply.status).toBe(422);
    expect(reply.body.error?.['code']).toBe('EVENT_TENANT_MISSING');
    expect(reply.body.events).toMatchObject([{ status: 'rejected', code: 'EVENT_TENANT_MISSING' }]);
    expect(await door.log.deadLetters.count()).toBe(1);
  });

  it('names the known topics for an unknown one, and keeps no dead letter', async () => {
    const door = await open();
    const reply = await post(door, deal('d1', 'e1'), { query: '?topic=crm.deal' });
    expect(reply.status).toBe(422);
    expect(reply.body.error).toMatchObject({ code: 'TOPIC_UNKNOWN', message: expect.stringContaining('crm.deals') as string });
    expect((await post(door, deal('d1', 'e1'), { query: '' })).body.error?.['code']).toBe('TOPIC_MISSING');
    expect((await post(door, '{"broken', { query: '' })).body.error?.['code']).toBe('JSON_INVALID');
    expect(await door.log.deadLetters.count()).toBe(0);
  });

  it.each([
    ['an empty body', '', {}, 400, 'BODY_EMPTY'],
    ['an empty list', '[]', {}, 400, 'BODY_EMPTY'],
    ['too many events', JSON.stringify(Array.from({ length: 21 }, (_, i) => deal('d', `${i}`))), {}, 413, 'BATCH_TOO_LARGE'],
    ['a content type that is no JSON', '<a/>', { 'content-type': 'application/xml' }, 415, 'CONTENT_TYPE_UNSUPPORTED'],
    ['an unknown encoding', '{}', { 'content-encoding': 'br' }, 415, 'INGEST_ENCODING'],
    ['false gzip', '{}', { 'content-encoding': 'gzip' }, 415, 'INGEST_ENCODING'],
  ])('refuses %s', async (_, body, headers, status, code) => {
    const door = await open();
    const reply = await post(door, body, headers);
    expect([reply.status, reply.body.error?.['code']]).toEqual([status, code]);
    expect(await logged(door)).toEqual([]);
  });

  it('refuses other methods with Allow, and callers without a good token before reading a body', async () => {
    const door = await open();
    const get = await ask(door.url, {}, (req) => req.end(), 'GET');
    expect([get.status, get.headers.allow, get.body.error?.['code']]).toEqual([405, 'POST', 'INGEST_METHOD']);
    const denied = await ask(door.url, { authorization: 'Bearer bad', 'content-length': '1000' }, (req) => req.flushHeaders());
    expect([denied.status, denied.headers['www-authenticate'], denied.body.error?.['code']]).toEqual([401, 'Bearer', 'DENIED']);
  });
});

describe('POST /events: bounds', () => {
  it('refuses a declared length over the bound at once, without a byte of the body', async () => {
    const door = await open({ maxBodyBytes: 1000 });
    const reply = await ask(`${door.url}?topic=crm.deals`, { 'content-length': '100000000' }, (req) => req.flushHeaders());
    expect([reply.status, reply.body.error?.['code'], reply.headers.connection]).toEqual([413, 'INGEST_BODY_TOO_LARGE', 'close']);
  });

  it('lets a client that is still sending a body over the bound hear why', async () => {
    const door = await open({ maxBodyBytes: 1000 });
    const body = 'x'.repeat(20_000_000);
    for (let i = 0; i < 5; i += 1) {
      const reply = await ask(`${door.url}?topic=crm.deals`, { 'content-length': `${body.length}` }, (req) => req.end(body));
      expect([reply.status, reply.body.error?.['code'], reply.headers.connection]).toEqual([413, 'INGEST_BODY_TOO_LARGE', 'keep-alive']);
    }
  });

  it('stops reading a chunked body at the bound', async () => {
    const door = await open({ maxBodyBytes: 1000 });
    const reply = await ask(`${door.url}?topic=crm.deals`, {}, (req) => {
      req.write('x'.repeat(999));
      req.write('x'.repeat(999)); // and never an end
    });
    expect([reply.status, reply.body.error?.['code']]).toEqual([413, 'INGEST_BODY_TOO_LARGE']);
  });

  it('stops inflating at the bound', async () => {
    const door = await open({ maxBodyBytes: 10_000 });
    const reply = await post(door, gzipSync(Buffer.alloc(5_000_000, 'x')), { 'content-encoding': 'gzip' });
    expect([reply.status, reply.body.error?.['code']]).toEqual([413, 'INGEST_BODY_TOO_LARGE']);
  });

  it('refuses bodies while others hold all of the bytes in flight, and takes them again after', async () => {
    const door = await open({ maxInFlightBytes: 1000 });
    let release: ClientRequest | null = null;
    const slow = ask(`${door.url}?topic=crm.deals`, { 'content-type': 'application/json' }, (req) => {
      release = req;
      req.write(`{"id":"d1","event_id":"e1","company_id":"acme","action":"added","pad":"${'x'.repeat(900)}`);
    });
    let busy = await post(door, deal('d2', 'e2', { pad: 'y'.repeat(200) }));
    // The first chunk of the slow request may not have arrived yet.
    while (busy.status === 202) busy = await post(door, deal('d2', 'e2', { pad: 'y'.repeat(200) }));
    expect([busy.status, busy.body.error?.['code'], busy.headers['retry-after']]).toEqual([503, 'INGEST_BUSY', '1']);
    release!.end('"}');
    expect((await slow).status).toBe(202);
    expect((await post(door, deal('d3', 'e3', { pad: 'y'.repeat(200) }))).status).toBe(202);
  });

  it('passes back-pressure of the log on with Retry-After', async () => {
    const sink: EventSink = {
      guarantees: { atomic: true, detectsDuplicates: true },
      append: () => Promise.reject(new MillraceError(brokersErrors.BROKER_BUSY, 'full')),
    };
    const door = await open({ retryAfterSeconds: 7 }, { sink });
    const reply = await post(door, deal('d1', 'e1'));
    expect([reply.status, reply.body.error?.['code'], reply.headers['retry-after']]).toEqual([503, 'BROKER_BUSY', '7']);
  });

  it('gives up on a body that stands still', async () => {
    const door = await open({ bodyTimeoutMs: 1 });
    const reply = await ask(`${door.url}?topic=crm.deals`, {}, (req) => void req.write('{'));
    expect([reply.status, reply.body.error?.['code']]).toEqual([408, 'INGEST_BODY_CUT']);
  });

  it('survives a client that goes away in the middle of a body, and holds nothing for it', async () => {
    const door = await open({ maxInFlightBytes: 500 });
    const gone = request(`${door.url}?topic=crm.deals`, { method: 'POST', headers: { authorization: 'Bearer good' } });
    gone.on('error', () => {});
    const connected = once(door.server, 'connection') as Promise<[Socket]>;
    gone.write('x'.repeat(400));
    const [socket] = await connected;
    const closed = new Promise<void>((resolve) => socket.once('close', resolve));
    gone.destroy();
    await closed;
    expect((await post(door, deal('d1', 'e1', { pad: 'y'.repeat(200) }))).status).toBe(202);
  });

  it('hides what was thrown inside', async () => {
    const sink: EventSink = {
      guarantees: { atomic: true, detectsDuplicates: true },
      append: () => Promise.reject(new Error('secret path /x')),
    };
    const door = await open({}, { sink });
    const reply = await post(door, deal('d1', 'e1'));
    expect([reply.status, reply.body.error]).toEqual([500, { code: 'INTERNAL', message: 'internal error', retryable: true }]);
  });
});
