import type { Context } from '../lib/context.ts';
import { DELIVERY_FIGURES } from '../lib/figures.ts';
import { LiveSession } from '../lib/live-subject.ts';
import type { Row, Stage } from '../lib/row.ts';
import { closedLoop, SOCKETS } from './fan-out.ts';

const stage: Stage<LiveSession> = {
  name: `${SOCKETS} bare sockets`,
  subjects: ['net', 'net, joined'],
  async open(subject, context) {
    const session = await LiveSession.open(subject === 'net' ? 'net' : 'net-joined', context);
    await session.connect(context.scale(SOCKETS));
    await session.subscribe([]);
    return session;
  },
};

const measure = (session: LiveSession, context: Context) => closedLoop(session, 10, context.options.quick ? 0.3 : 1.5, 2);

export const generator: Row<LiveSession> = {
  name: 'generator',
  title: 'What the load generator receives at most',
  work:
    'Bursts of ten from two bare broadcasters: `net` writes every message by itself, `net, joined` all ten in one write, which costs the server next ' +
    'to nothing. What comes then is the most that the generator takes; a rate of another row near it is the rate of the generator.',
  stage,
  seconds: 22,
  figures: DELIVERY_FIGURES,
  targets: [],
  warm: async (session, context) => void (await measure(session, context)),
  measure,
};
