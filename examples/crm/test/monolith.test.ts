import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';

type Event = {
  readonly event_id: string;
  readonly action: string;
  readonly company_id: string;
  readonly id: string;
  readonly rev: number;
  readonly before: { readonly rev: number } | null;
};

const MONOLITH = new URL('../server/monolith.ts', import.meta.url);

let folder: string;
let millrace: Server;
let away: boolean;
let events: Event[];
let wakes: (() => void)[];
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crm-monolith-'));
  away = false;
  events = [];
  wakes = [];
  millrace = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    expect(request.headers.authorization).toBe('Bearer for-events');
    if (away) response.writeHead(503, { 'retry-after': '0' }).end();
    else {
      const batch = JSON.parse(text) as Event[];
      events.push(...batch);
      response.writeHead(202, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ events: batch.map(({ event_id }) => ({ id: event_id, status: 'accepted' })) }));
    }
    for (const wake of wakes.splice(0)) wake();
  });
  millrace.listen(0, '127.0.0.1');
  await once(millrace, 'listening');
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  millrace.closeAllConnections();
  await new Promise((resolve) => millrace.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

/** Resolves after the next request for which `holds`. */
async function requests(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => wakes.push(resolve));
}

function eventsUrl(): string {
  return `http://127.0.0.1:${(millrace.address() as AddressInfo).port}/events`;
}

async function startMonolith(everyMs: number): Promise<ChildProcess> {
  const child = fork(MONOLITH, ['--data', join(folder, 'deals.sqlite'), '--events', eventsUrl(), '--every', String(everyMs)], {
    execArgv: [],
    silent: true,
    env: { ...process.env, MONOLITH_EVENTS_TOKEN: 'for-events' },
  });
  children.push(child);
  await once(child, 'message');
  return child;
}

/** Each revision of each deal once, in order. */
function checkOrder(list: readonly Event[]): void {
  const revs = new Map<string, number>();
  for (const event of list) {
    const key = `${event.company_id}/${event.id}`;
    const known = revs.get(key) ?? (event.action === 'added' ? 0 : event.rev - 1);
    expect(event.rev, key).toBe(known + 1);
    expect(event.before?.rev ?? 0).toBe(event.rev - 1);
    revs.set(key, event.rev);
  }
  expect(new Set(list.map(({ event_id }) => event_id)).size).toBe(list.length);
}

test('it publishes changes of every company, each revision of each deal once and in order', async () => {
  await startMonolith(2);
  await requests(() => events.length >= 150);
  checkOrder(events);
  expect(new Set(events.map(({ company_id }) => company_id))).toEqual(new Set(['nordwind', 'harbor', 'kestrel']));
  expect(new Set(events.map(({ action }) => action))).toEqual(new Set(['added', 'changed', 'deleted']));
});

test('what happens while Millrace is away, and before the monolith is killed, arrives later in order', async () => {
  const first = await startMonolith(2);
  await requests(() => events.length >= 20);
  away = true;
  let refused = 0;
  await requests(() => (refused += 1) > 2);
  first.kill('SIGKILL');
  await once(first, 'exit');
  away = false;
  const before = events.length;
  await startMonolith(0);
  await requests(() => events.length > before);
  checkOrder(events);
});

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it with code 0', async (signal) => {
  const child = await startMonolith(2);
  await requests(() => events.length > 0);
  child.kill(signal);
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('it ends with the process that started it, even if that one was killed', async () => {
  const starter = `
    const { startMonolith } = await import(${JSON.stringify(new URL('../server/monolith-process.ts', import.meta.url).href)});
    const { url } = await startMonolith({ dataFile: ${JSON.stringify(join(folder, 'deals.sqlite'))}, eventsUrl: ${JSON.stringify(eventsUrl())},
      eventsToken: 'for-events', port: 0, everyMs: 0, seed: 7 });
    console.log(url);
    setInterval(() => {}, 1000);
  `;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', starter], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(parent);
  const [url] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
  const answers = (): Promise<boolean> =>
    fetch(url)
      .then(() => true)
      .catch(() => false);
  expect(await answers()).toBe(true);
  parent.kill('SIGKILL');
  await expect.poll(answers, { timeout: 10_000 }).toBe(false);
});
