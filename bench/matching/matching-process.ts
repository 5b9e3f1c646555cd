import type { LiveEvent } from '../../packages/server/src/events/live-event.ts';
import { FieldLayout } from '../../packages/server/src/live/filter-values.ts';
import { compileMatcher, type Matcher } from '../../packages/server/src/live/matcher.ts';
import { LIVE_LIMITS } from '../../packages/server/src/live/options.ts';
import { type Indexed, SubscriptionIndex } from '../../packages/server/src/live/subscription-index.ts';
import { dealType, liveEvent } from '../../packages/server/src/live/testing.ts';

/**
 * Subscriptions in one process: 40 % by id, 40 % by equality, 10 % by range, 10 % by text. The universe of ids and values grows with their
 * number, so that an event concerns about ten of them whatever it is, and the cost of looking is told apart from that of finding.
 */
export const SIZES = [1_000, 10_000, 100_000, 1_000_000] as const;

export type MatchingFigures = {
  readonly size: number;
  /** Of heap, a subscription; what the bench's own entry takes is in it. */
  readonly bytes: number;
  readonly microsPerEvent: number;
  readonly matchesPerEvent: number;
};

type Args = Readonly<Record<string, unknown>>;
const type = dealType();
const layout = new FieldLayout(type);

const universe = (size: number): number => Math.max(1, Math.round(size / 10));
const name = (n: number): string => `Deal ${String(n).padStart(7, '0')} `;

function argsOf(index: number, size: number): Args {
  const kinds = universe(size);
  const nth = Math.floor(index / 10);
  const kind = index % 10;
  if (kind < 4) return { ids: [`d${nth % kinds}`] };
  if (kind < 8) return { filter: { stageId: { eq: `s${(nth * 7 + kind) % kinds}` } } };
  if (kind === 8) return { filter: { value: { gte: nth, lt: nth + 1 } } };
  return { filter: { title: nth % 2 === 0 ? { startsWith: name(nth) } : { contains: name(nth).slice(5) } } };
}

function eventOf(n: number, size: number): LiveEvent {
  const kinds = universe(size);
  const at = (n * 7919) % kinds;
  return liveEvent({ key: `d${at}`, entity: { id: `d${at}`, stage_id: `s${at}`, value: at + 0.5, title: `${name(at)}of the plan` } });
}

class Entry implements Indexed {
  slot = -1;
  readonly matcher: Matcher;
  constructor(matcher: Matcher) {
    this.matcher = matcher;
  }
}

type Match = (event: LiveEvent) => number;

function indexed(size: number): Match {
  const index = new SubscriptionIndex<Entry>(layout);
  for (let i = 0; i < size; i++) index.add(new Entry(compileMatcher(type, 'dealEvent', argsOf(i, size), layout, LIVE_LIMITS)));
  let found = 0;
  const visit = (): void => void (found += 1);
  return (event) => {
    found = 0;
    index.match(event, visit);
    return found;
  };
}

/** Every subscription has a function that is asked about every event, as `withFilter` has it; without its promises, which cost more. */
function scanned(size: number): Match {
  const filters = Array.from({ length: size }, (_, i) => filterOf(argsOf(i, size)));
  return (event) => {
    let found = 0;
    for (const filter of filters) if (filter(event)) found += 1;
    return found;
  };
}

function titleOf(event: LiveEvent): string {
  return event.entity['title'] as string;
}

function filterOf(args: Args): (event: LiveEvent) => boolean {
  const ids = args['ids'] as readonly string[] | undefined;
  if (ids) return (event) => ids.includes(event.key ?? '');
  const filter = args['filter'] as Readonly<Record<string, Readonly<Record<string, string | number>>>>;
  const { stageId, value, title } = filter;
  if (stageId) return (event) => event.entity['stage_id'] === stageId['eq'];
  if (value) return (event) => Number(event.entity['value']) >= Number(value['gte']) && Number(event.entity['value']) < Number(value['lt']);
  const { startsWith, contains } = title ?? {};
  if (startsWith !== undefined) return (event) => titleOf(event).startsWith(String(startsWith));
  return (event) => titleOf(event).includes(String(contains));
}

const BATCH = 100;
let serial = 0;

/**
 * Events walk through all ids and values there are, so that what the index reads for one is not in the cache from the last; they are made before the clock
 * starts, as a decoder makes them before an index sees them.
 */
function measure({ size, match, bytes }: Subject, seconds: number): MatchingFigures {
  let matches = 0;
  let count = 0;
  let spent = 0;
  while (spent < seconds * 1000) {
    const events = Array.from({ length: BATCH }, () => eventOf(serial++, size));
    const began = performance.now();
    for (const event of events) matches += match(event);
    spent += performance.now() - began;
    count += BATCH;
  }
  return { size, bytes, microsPerEvent: (spent * 1000) / count, matchesPerEvent: matches / count };
}

type Subject = { readonly size: number; readonly match: Match; readonly bytes: number };

function heldBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function subjectOf(size: number, make: (size: number) => Match): Subject {
  const before = heldBytes();
  const match = make(size);
  return { size, match, bytes: (heldBytes() - before) / size };
}

const make = process.argv[2] === 'index' ? indexed : scanned;
const subjects = SIZES.map((size) => subjectOf(size, make));
for (const subject of subjects) measure(subject, 0.2);
process.on('message', (seconds: number) => process.send!(subjects.map((subject) => measure(subject, seconds))));
process.send!('ready');
