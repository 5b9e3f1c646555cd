import type { Context } from '../lib/context.ts';
import { DEALS_SDL, type Deal, deal } from '../lib/deals.ts';
import { Generator } from '../lib/generator.ts';
import { startMillrace } from '../lib/millrace.ts';
import { nowMicros } from '../lib/process-figures.ts';
import { Publisher } from '../lib/publisher.ts';
import type { Figures, FigureSpec, Row, Stage } from '../lib/row.ts';
import type { ServerProcess } from '../lib/server-process.ts';
import { operatorToken, token } from '../lib/token.ts';
import { Subgraphs } from '../shop/load.ts';
import { SCORES_SDL } from '../shop/shop.ts';

const SOCKETS = 50;
const PER_SOCKET = 100;
const GROUPS = 100;
/** Fewer, since no more than 2,000 requests to one subgraph are let through at once: beyond, answers would be errors. */
const EACH_FOR_HIMSELF = 1_500;

type Enriched = AsyncDisposable & {
  readonly server: ServerProcess;
  readonly generator: Generator;
  readonly subgraphs: Subgraphs;
  readonly publisher: Publisher;
  readonly subscriptions: number;
};

const ALL = JSON.stringify({ query: 'subscription { dealEvent { deal { id score sent } } }' });
/** A group for each number: every event passes the filter of exactly one. */
const BY_VALUE = JSON.stringify({
  query: 'subscription ($n: Float) { dealEvent(filter: { value: { eq: $n } }) { deal { id score sent } } }',
  variables: { n: 0 },
}).replace('"n":0', '"n":§');

/** `identity`: whose eyes the subgraph is asked with. Everybody has a token of his own where each sees for himself. */
async function open(identity: 'tenant' | 'user', payload: string, groups: number, context: Context): Promise<Enriched> {
  await using opening = new AsyncDisposableStack();
  const subgraphs = opening.use(await Subgraphs.start());
  const services = [
    { name: 'deals', sdl: DEALS_SDL },
    { name: 'scores', sdl: SCORES_SDL, url: `${subgraphs.url}/scores` },
  ];
  const { server, addresses } = opening.use(await startMillrace(context, { services, args: ['--enrichment-identity', identity] }));
  const generator = opening.use(new Generator(1));
  const publisher = opening.use(new Publisher(`${addresses.events}?topic=crm.deals`, operatorToken()));
  const each = identity === 'user';
  const sockets = each ? context.scale(EACH_FOR_HIMSELF) : context.scale(SOCKETS);
  await generator.connect({ url: addresses.ws, sockets, init: `{"authorization":"Bearer ${each ? '§token' : token('reader')}"}` });
  const perSocket = each ? 1 : PER_SOCKET;
  await generator.subscribe({ payloads: [payload], groups, perSocket });
  const closing = opening.move();
  return {
    server,
    generator,
    subgraphs,
    publisher,
    subscriptions: sockets * perSocket,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** Publishes in one request and waits until `frames` further messages have come, over all sockets. */
async function publish(session: Enriched, deals: readonly Deal[], frames: number): Promise<Figures> {
  const { server, generator, subgraphs, publisher } = session;
  const before = await subgraphs.count();
  const cpu = server.cpuMicros();
  generator.count(frames / generator.sockets);
  const began = nowMicros();
  await publisher.post(deals);
  const ended = await generator.mark(30_000);
  const used = server.cpuMicros() - cpu;
  const requests = (await subgraphs.count()) - before - 1;
  return { requests, perEvent: requests / deals.length, ms: (ended - began) / 1000, cpu: used / frames };
}

const FIGURES: Readonly<Record<string, FigureSpec>> = {
  requests: { label: 'subgraph requests', unit: '', better: 'less' },
  perEvent: { label: 'subgraph requests', unit: '/event', better: 'less' },
  ms: { label: 'until the last has it', unit: 'ms', better: 'less' },
  cpu: { label: 'server CPU', unit: 'µs/delivery', better: 'less' },
};

const alike: Stage<Enriched> = {
  name: 'subscriptions alike that ask for a field no event carries',
  subjects: ['millrace, one audience', 'millrace, 1,500 for themselves'],
  open: (subject, context) => open(subject.endsWith('one audience') ? 'tenant' : 'user', ALL, 1, context),
};

export const enrichment: Row<Enriched> = {
  name: 'enrichment',
  title: '5,000 subscriptions alike, with a field that a subgraph has to be asked for',
  work:
    'One event; every subscription gets it with a field of a subgraph. In one audience the subgraph is asked once; where everybody sees for himself ' +
    '(1,500 with tokens of their own, which are forwarded) every subscription is executed by itself, as a server does that executes per subscription.',
  stage: alike,
  figures: FIGURES,
  targets: [{ text: 'one subgraph request an event', figure: 'perEvent', subject: 'millrace, one audience', over: null, atMost: 1 }],
  warm: async (session) => void (await publish(session, [deal(nowMicros())], session.subscriptions)),
  measure: (session) => publish(session, [deal(nowMicros())], session.subscriptions),
};

export const enrichmentGroups: Row<Enriched> = {
  name: 'enrichment-groups',
  title: '100 groups on 100 events in one window',
  work: 'A hundred events in one request, each of which concerns another one of a hundred groups of 50 subscriptions; every group asks for a field of a subgraph.',
  stage: {
    name: 'groups that ask for a field no event carries',
    subjects: ['millrace'],
    open: (_, context) => open('tenant', BY_VALUE, GROUPS, context),
  },
  figures: FIGURES,
  targets: [{ text: 'a handful of subgraph requests', figure: 'requests', subject: 'millrace', over: null, atMost: 5 }],
  warm: async (session) => void (await publish(session, oneForEach(), session.subscriptions)),
  measure: (session) => publish(session, oneForEach(), session.subscriptions),
};

function oneForEach(): readonly Deal[] {
  return Array.from({ length: GROUPS }, (_, n) => ({ ...deal(nowMicros()), value: n }));
}
