import { documents } from '../lib/deals.ts';
import { DELIVERY_FIGURES } from '../lib/figures.ts';
import { LiveSession } from '../lib/live-subject.ts';
import type { Row, Stage } from '../lib/row.ts';
import { oneAtATime, SOCKETS, warm } from './fan-out.ts';

/** Subject and number of distinct subscriptions, in one name. */
const SUBJECTS = [
  'millrace, 1 group',
  'millrace, 100 groups',
  'millrace, 5000 groups',
  'graphql-ws, 100 groups',
  'graphql-ws, 5000 groups',
];

const filterStage: Stage<LiveSession> = {
  name: `${SOCKETS} sockets, one subscription each, with filters and fields of their own`,
  subjects: SUBJECTS,
  async open(name, context) {
    const [subject = '', groups = ''] = name.split(', ');
    const sockets = context.scale(SOCKETS);
    const session = await LiveSession.open(subject, context);
    await session.connect(sockets);
    const distinct = Math.min(sockets, Number.parseInt(groups, 10));
    await session.subscribe(documents(Math.min(10, distinct), true), distinct);
    return session;
  },
};

export const filters: Row<LiveSession> = {
  name: 'filters',
  title: 'Every subscriber its own filter and fields',
  work:
    'The fan-out of one event at a time to subscriptions that differ in document (ten of them) and in the bound of a filter. Every event passes ' +
    'every filter: each group is matched, executed and serialised by itself. graphql-ws filters in the manner of withFilter and executes for each subscriber.',
  stage: filterStage,
  seconds: 62,
  headline: ['cpu'],
  figures: DELIVERY_FIGURES,
  targets: [
    {
      text: '100 groups: CPU a delivery ≤ 1.3 × one group',
      figure: 'cpu',
      subject: 'millrace, 100 groups',
      over: 'millrace, 1 group',
      atMost: 1.3,
    },
    {
      text: '5,000 groups: ≥ 3 × graphql-ws',
      figure: 'rate',
      subject: 'millrace, 5000 groups',
      over: 'graphql-ws, 5000 groups',
      atLeast: 3,
    },
  ],
  warm,
  measure: oneAtATime,
};
