import { fileURLToPath } from 'node:url';
import type { Context } from '../lib/context.ts';
import { DEALS_SDL, type Deal, deal } from '../lib/deals.ts';
import { CPU, figure, megabytes, RSS } from '../lib/figures.ts';
import { Generator } from '../lib/generator.ts';
import { startMillrace } from '../lib/millrace.ts';
import { nowMicros } from '../lib/process-figures.ts';
import { Publisher } from '../lib/publisher.ts';
import type { Figures, FigureSpec, Row } from '../lib/row.ts';
import { ServerProcess } from '../lib/server-process.ts';
import { operatorToken, token } from '../lib/token.ts';
import { Subgraphs } from '../shop/load.ts';
import { SCORES_SDL } from '../shop/shop.ts';

const SOCKETS = 50;
const PER_SOCKET = 100;
const GROUPS = 100;
/** Before the first that counts: compilers and connections need more than one. */
const WARMING = 5;
/** Of one run: a single one is too short for the clock of CPU, which goes in steps of 10 ms. */
const WINDOWS = 10;
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

const ONE_AUDIENCE = 'millrace, one audience';
const FOR_THEMSELVES = 'millrace, 1,500 for themselves';
const PEER = 'graphql-ws';

type Asked = { readonly payload: string; readonly groups: number };

async function open(subject: string, { payload, groups }: Asked, context: Context): Promise<Enriched> {
  await using opening = new AsyncDisposableStack();
  const subgraphs = opening.use(await Subgraphs.start());
  const alone = subject === FOR_THEMSELVES;
  const started = await (subject === PEER
    ? startPeer(subgraphs, opening)
    : startLive(subgraphs, alone ? 'user' : 'tenant', context, opening));
  const generator = opening.use(new Generator(1));
  const publisher = opening.use(new Publisher(started.events, operatorToken()));
  const sockets = context.scale(alone ? EACH_FOR_HIMSELF : SOCKETS);
  await generator.connect({ url: started.ws, sockets, init: `{"authorization":"Bearer ${alone ? '§token' : token('reader')}"}` });
  const perSocket = alone ? 1 : PER_SOCKET;
  await generator.subscribe({ payloads: [payload], groups, perSocket });
  const closing = opening.move();
  return {
    server: started.server,
    generator,
    subgraphs,
    publisher,
    subscriptions: sockets * perSocket,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

type Started = { readonly server: ServerProcess; readonly ws: string; readonly events: string };

/** `identity`: whose eyes the subgraph is asked with. Everybody has a token of his own where each sees for himself. */
async function startLive(
  subgraphs: Subgraphs,
  identity: 'tenant' | 'user',
  context: Context,
  opening: AsyncDisposableStack,
): Promise<Started> {
  const services = [
    { name: 'deals', sdl: DEALS_SDL },
    { name: 'scores', sdl: SCORES_SDL, url: `${subgraphs.url}/scores` },
  ];
  const { server, addresses } = opening.use(await startMillrace(context, { services, args: ['--enrichment-identity', identity] }));
  return { server, ws: addresses.ws, events: `${addresses.events}?topic=crm.deals` };
}

async function startPeer(subgraphs: Subgraphs, opening: AsyncDisposableStack): Promise<Started> {
  const file = fileURLToPath(new URL('../peers/graphql-ws.ts', import.meta.url));
  const server = opening.use(await ServerProcess.start({ args: [file, `${subgraphs.url}/scores`] }));
  return { server, ws: String(server.ready['ws']), events: String(server.ready['events']) };
}

/** A window is one request of a producer; the next is sent when the last subscription that it concerns has its event. */
async function windows(session: Enriched, count: number, make: () => readonly Deal[]): Promise<Figures> {
  const { server, generator, subgraphs, publisher, subscriptions } = session;
  const before = await subgraphs.count();
  const cpu = server.cpuMicros();
  generator.count(subscriptions / generator.sockets);
  const began = nowMicros();
  let ended = began;
  let events = 0;
  for (let window = 0; window < count; window += 1) {
    const deals = make();
    events += deals.length;
    [ended] = await Promise.all([generator.mark(30_000), publisher.post(deals)]);
  }
  const used = server.cpuMicros() - cpu;
  const requests = (await subgraphs.count()) - before - 1;
  return {
    perEvent: requests / events,
    perWindow: requests / count,
    ms: (ended - began) / 1000 / count,
    cpu: used / (subscriptions * count),
    rss: megabytes(server.residentBytes()),
  };
}

const FIGURES: Readonly<Record<string, FigureSpec>> = {
  perEvent: figure.less('subgraph requests', '/event'),
  perWindow: figure.less('subgraph requests', '/window'),
  ms: figure.less('until the last has it', 'ms'),
  cpu: CPU,
  rss: RSS,
};

const EACH_ITS_OWN =
  'graphql-ws executes every subscription by itself, as graphql-js does, and its resolver asks the subgraph over kept-alive connections.';

export const enrichment: Row<Enriched> = {
  name: 'enrichment',
  title: '5,000 subscriptions alike, with a field that a subgraph has to be asked for',
  work:
    `One event, ${WINDOWS} times in a run; every subscription gets it with a field of a subgraph. In one audience the subgraph is asked once; where everybody sees for himself ` +
    `(1,500 with tokens of their own, which are forwarded) every subscription is executed by itself. ${EACH_ITS_OWN}`,
  stage: {
    name: 'subscriptions alike that ask for a field no event carries',
    subjects: [ONE_AUDIENCE, FOR_THEMSELVES, PEER],
    open: (subject, context) => open(subject, { payload: ALL, groups: 1 }, context),
  },
  seconds: 35,
  headline: ['perEvent', 'ms'],
  figures: FIGURES,
  targets: [{ text: 'one subgraph request an event', figure: 'perEvent', subject: ONE_AUDIENCE, over: null, atMost: 1 }],
  warm: async (session) => void (await windows(session, WARMING, oneEvent)),
  measure: (session) => windows(session, WINDOWS, oneEvent),
};

export const enrichmentGroups: Row<Enriched> = {
  name: 'enrichment-groups',
  title: '100 groups on 100 events in one window',
  work: `A hundred events in one request, ${WINDOWS} times in a run, each of which concerns another one of a hundred groups of 50 subscriptions; every group asks for a field of a subgraph. ${EACH_ITS_OWN}`,
  stage: {
    name: 'groups that ask for a field no event carries',
    subjects: ['millrace', PEER],
    open: (subject, context) => open(subject, { payload: BY_VALUE, groups: GROUPS }, context),
  },
  seconds: 30,
  headline: ['perWindow', 'ms'],
  figures: FIGURES,
  targets: [{ text: 'a handful of subgraph requests', figure: 'perWindow', subject: 'millrace', over: null, atMost: 5 }],
  warm: async (session) => void (await windows(session, WARMING, oneForEach)),
  measure: (session) => windows(session, WINDOWS, oneForEach),
};

function oneEvent(): readonly Deal[] {
  return [deal(nowMicros())];
}

function oneForEach(): readonly Deal[] {
  return Array.from({ length: GROUPS }, (_, n) => ({ ...deal(nowMicros()), value: n }));
}
