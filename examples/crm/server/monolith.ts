/**
 * The legacy monolith: a process that owns the deals, changes them as a busy day would, and publishes every change as plain JSON.
 *
 *   node monolith.ts --data crm.sqlite --events http://127.0.0.1:4000/events [--every 1500] [--port 0] [--seed 7]
 *
 * The token for Millrace comes from MONOLITH_EVENTS_TOKEN, the one that callers must show from MONOLITH_TOKEN; neither is an argument,
 * because arguments are visible to everybody on the machine. `--every 0`: changes nothing by itself.
 */
import { parseArgs } from 'node:util';
import { OPEN_STAGES, requireCompany, STAGES } from './companies.ts';
import { type DealRow, DealStore, type NewDeal } from './deal-store.ts';
import { HttpError, readJson, sendJson, serve } from './http.ts';
import { OutboxPublisher } from './outbox-publisher.ts';
import { seeded } from './random.ts';
import { liveOneMoment, seedDeals } from './simulator.ts';

/** Events that may wait for Millrace. Beyond it the monolith changes nothing more, and says so, until Millrace is back. */
const MAX_PENDING = 10_000;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    events: { type: 'string' },
    every: { type: 'string', default: '1500' },
    port: { type: 'string', default: '0' },
    seed: { type: 'string', default: '7' },
  },
});
if (!values.data || !values.events) throw new Error('--data FILE and --events URL are needed');

const store = new DealStore(values.data);
const random = seeded(Number(values.seed));
if (store.isEmpty()) seedDeals(store, random);

const log = (line: string): void => console.error(`[monolith] ${line}`);
const token = process.env['MONOLITH_EVENTS_TOKEN'] ?? null;
const publisher = new OutboxPublisher({ store, eventsUrl: values.events, token, log });
const published = publisher.run();

const http = await serve(Number(values.port), async (request, response) => {
  const secret = process.env['MONOLITH_TOKEN'];
  if (secret && request.headers.authorization !== `Bearer ${secret}`) throw new HttpError(401, 'a token is needed');
  const [, company = '', command = ''] = (request.url ?? '').split('/');
  if (request.method !== 'POST') throw new HttpError(405, 'POST /COMPANY/{move,create,close}');
  const body = await readJson(request);
  if (store.pendingCount() >= MAX_PENDING) throw new HttpError(503, `${MAX_PENDING} events wait for Millrace; no change until it is back`);
  const row = run(company, command, body);
  publisher.notify();
  sendJson(response, 200, row);
});

function run(company: string, command: string, body: Readonly<Record<string, unknown>>): DealRow {
  const by = 'board';
  if (command === 'create') return store.create(newDeal(company, body), by);
  const id = String(body['id']);
  const stage = command === 'close' ? (body['won'] === true ? 'won' : 'lost') : String(body['stageId']);
  if (command !== 'move' && command !== 'close') throw new HttpError(404, `no command "${command}"`);
  if (!STAGES.some((known) => known.id === stage)) throw new HttpError(400, `no stage "${stage}"`);
  const current = store.get(company, id);
  // Already there: nothing happened, so nothing is published.
  const row = current?.stage_id === stage ? current : store.change(company, id, { stage_id: stage }, by);
  if (!row) throw new HttpError(404, `no deal "${id}"`);
  return row;
}

function newDeal(companyId: string, body: Readonly<Record<string, unknown>>): NewDeal {
  const company = requireCompany(companyId);
  const value = Number(body['value']);
  const title = String(body['title']).trim().slice(0, 200);
  if (title === '' || !(value >= 0 && value <= 1e12)) throw new HttpError(400, 'a deal needs a title and a value from 0 to 1e12');
  const owner = company.users.find((user) => user.id === body['ownerId'])?.id ?? null;
  const account = String(body['account']).trim().slice(0, 200);
  const stage = OPEN_STAGES[0] ?? 'prospecting';
  return { company_id: company.id, title, account, value, currency: company.currency, stage_id: stage, owner_id: owner };
}

const every = Number(values.every);
let timer: NodeJS.Timeout | undefined;
function tick(): void {
  if (store.pendingCount() < MAX_PENDING) {
    liveOneMoment(store, random);
    publisher.notify();
  }
  // Between two thirds and four thirds of the pace: people do not click like clocks.
  timer = setTimeout(tick, every * (0.66 + Math.random() * 0.67));
}
if (every > 0) timer = setTimeout(tick, every);

let stopping = false;
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  clearTimeout(timer);
  publisher.stop();
  await Promise.all([http.stop(), published]);
  store.close();
  if (process.connected) process.disconnect?.();
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop());
// The parent is gone, whatever the way: nothing of the demonstration may stay behind.
process.on('disconnect', () => void stop());

const ready = { ready: true, url: http.url };
if (process.send) process.send(ready);
else console.log(JSON.stringify(ready));
