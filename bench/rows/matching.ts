import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onCores } from '../lib/machine.ts';
import { residentBytes } from '../lib/process-figures.ts';
import type { FigureSpec, Row } from '../lib/row.ts';
import type { MatchingFigures } from '../matching/matching-process.ts';

type Matching = AsyncDisposable & { readonly child: ChildProcess };

const LABELS: Readonly<Record<number, string>> = { 1_000: '1,000', 10_000: '10,000', 100_000: '100,000', 1_000_000: '1,000,000' };
const figures: Readonly<Record<string, FigureSpec>> = {
  ...Object.fromEntries(
    Object.entries(LABELS).map(([size, label]) => [`at${size}`, { label: `at ${label}`, unit: 'µs/event', better: 'less' }]),
  ),
  matches: { label: 'deliveries', unit: '/event', better: null },
  delivery: { label: 'of a million', unit: 'µs/delivery', better: 'less' },
  growth: { label: 'at 1,000,000 over at 1,000', unit: '', better: 'less' },
  bytes: { label: 'heap, of a million', unit: 'B/subscription', better: 'less' },
  rss: { label: 'RSS', unit: 'MB', better: 'less' },
};

export const matching: Row<Matching> = {
  name: 'matching',
  title: 'Which of a million subscriptions want this event',
  work:
    'Subscriptions in one process: 40 % by id, 40 % by equality, 10 % by range, 10 % by text. An event concerns about ten of them, however many ' +
    'there are, and each event others than the one before. ' +
    'The peer asks every subscription a plain function, in the manner of withFilter but without its promises.',
  stage: {
    name: 'subscriptions in one process',
    subjects: ['index', 'scan'],
    async open(subject) {
      const file = fileURLToPath(new URL('../matching/matching-process.ts', import.meta.url));
      const { command, args } = onCores('server', [
        '--disable-warning=ExperimentalWarning',
        '--max-old-space-size=4096',
        '--expose-gc',
        file,
        subject,
      ]);
      const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      await once(child, 'message');
      return {
        child,
        async [Symbol.asyncDispose]() {
          const gone = once(child, 'exit');
          child.kill('SIGKILL');
          await gone;
        },
      };
    },
  },
  figures,
  targets: [
    { text: '≤ 10 µs an event plus 0.3 µs for each of its ten deliveries', figure: 'at1000000', subject: 'index', over: null, atMost: 13 },
    { text: 'at 1,000,000 ≤ 2 × at 1,000', figure: 'growth', subject: 'index', over: null, atMost: 2 },
  ],
  async measure({ child }, context) {
    child.send(context.options.quick ? 0.1 : 0.5);
    const [results] = (await once(child, 'message')) as [readonly MatchingFigures[]];
    const last = results.at(-1)!;
    return {
      ...Object.fromEntries(results.map(({ size, microsPerEvent }) => [`at${size}`, microsPerEvent])),
      matches: last.matchesPerEvent,
      delivery: last.microsPerEvent / last.matchesPerEvent,
      growth: last.microsPerEvent / results[0]!.microsPerEvent,
      bytes: last.bytes,
      rss: residentBytes(child.pid!) / 1e6,
    };
  },
};
