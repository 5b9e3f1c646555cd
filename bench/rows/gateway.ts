import { megabytes } from '../lib/figures.ts';
import type { Figures, FigureSpec, Row } from '../lib/row.ts';
import { GATEWAYS, type GatewaySubject, NODE_HTTP, openGateway } from '../shop/gateway-subject.ts';
import { SHOP_QUERY, SHOP_VARIABLES } from '../shop/shop.ts';

const CONNECTIONS = 64;
const BODY = JSON.stringify({ query: SHOP_QUERY, variables: SHOP_VARIABLES });
/** The first fetch of the plan, for the subject without a gateway. */
const DIRECT = JSON.stringify({ query: 'query($first: Int) { topProducts(first: $first) { id name price } }', variables: SHOP_VARIABLES });

const FIGURES: Readonly<Record<string, FigureSpec>> = {
  rate: { label: 'operations', unit: '/s', better: 'more' },
  cpu: { label: 'CPU per operation', unit: 'µs', better: 'less' },
  p50: { label: 'p50', unit: 'ms', better: 'less' },
  p99: { label: 'p99', unit: 'ms', better: 'less' },
  fetches: { label: 'subgraph requests per operation', unit: '', better: null },
  rss: { label: 'RSS', unit: 'MB', better: 'less' },
};

function ask({ load, url, headers, server, requests }: GatewaySubject) {
  return load.run({ url, headers, connections: CONNECTIONS, bodies: [server ? BODY : DIRECT], requests });
}

async function measure(session: GatewaySubject): Promise<Figures> {
  const before = session.server?.cpuMicros() ?? 0;
  const fetchesBefore = await session.subgraphs.count();
  const result = await ask(session);
  const fetches = (await session.subgraphs.count()) - fetchesBefore - 1;
  const shared = {
    rate: result.answers / result.seconds,
    p50: result.p50 / 1000,
    p99: result.p99 / 1000,
    fetches: fetches / result.answers,
  };
  const { server } = session;
  if (server === null) return shared;
  return { ...shared, cpu: (server.cpuMicros() - before) / result.answers, rss: megabytes(server.residentBytes()) };
}

function row(name: string, title: string, shared: boolean, factor: number): Row<GatewaySubject> {
  return {
    name,
    title,
    work:
      `Five products with their reviews and the reviews' authors: three subgraphs, one after the other, asked over ${CONNECTIONS} keep-alive connections. ` +
      'The subgraphs answer with ready bytes from a process of their own. Millrace verifies the token, checks limits, counts, and masks errors; the peers do none of it.' +
      (shared ? ` \`${NODE_HTTP}\` answers with ready bytes: what no gateway on it can fall below.` : ''),
    stage: {
      name,
      subjects: shared ? [...GATEWAYS, NODE_HTTP] : GATEWAYS,
      open: (subject, context) => openGateway(subject, shared, context),
    },
    figures: FIGURES,
    targets: [
      ...GATEWAYS.filter((subject) => subject.startsWith('hive')).map((over) => ({
        text: `CPU at most 1/${factor} of ${over}`,
        figure: 'cpu',
        subject: 'millrace',
        over,
        atMost: 1 / factor,
      })),
      { text: 'at most 150 MB', figure: 'rss', subject: 'millrace', over: null, atMost: 150 },
    ],
    warm: async (session) => void (await ask(session)),
    measure,
  };
}

export const gateway = row('gateway', 'Federated query of three levels', false, 6);
export const gatewayShared = row('gateway-shared', 'The same, identical queries in flight share one execution', true, 15);
