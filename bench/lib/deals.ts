/** The work that fan-out rows share: one live type whose fields all travel with the event, and events of one size. */
export const DEALS_SDL = `
extend schema
  @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key"])
  @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live", "@carried", "@filterable"])
type Query { ping: String }
type Deal @key(fields: "id") @live(topic: "crm.deals", tenant: "company_id") {
  id: ID!
  title: String! @carried
  account: String! @carried
  value: Float @carried @filterable
  stage: ID! @carried
  sent: String! @carried
}`;

/** The same as peers have it, whose subscriptions are written by hand. */
export const PEER_SDL = `
type Query { ping: String }
type Deal { id: ID! title: String! account: String! value: Float stage: ID! sent: String! score: Int }
type DealEvent { action: String! id: ID deal: Deal }
input FloatFilter { eq: Float gte: Float }
input DealFilter { value: FloatFilter }
type Subscription { dealEvent(filter: DealFilter): DealEvent! }
`;

export const ALL_DEALS = 'subscription { dealEvent { deal { id title account value stage sent } } }';

export type Deal = {
  readonly event_id: string;
  readonly action: string;
  readonly company_id: string;
  readonly id: string;
  readonly title: string;
  readonly account: string;
  readonly value: number;
  readonly stage: string;
  /** Monotonic microseconds as 16 digits: always the same size, and found without parsing. */
  readonly sent: string;
};

/** Documents that differ in what they select; `sent` is always there. With `filter`, each subscription has its own bound, which all events pass. */
export function documents(count: number, filter: boolean): readonly string[] {
  const optional = ['title', 'account', 'value', 'stage'];
  return Array.from({ length: count }, (_, index) => {
    // One field is left out at most, so that messages stay of one size; an alias makes further documents.
    const fields = optional
      .filter((_, field) => field !== index % 5)
      .map((field) => (index >= 5 && field === 'title' ? `title${index}: title` : field));
    const selection = `deal { id ${fields.join(' ')} sent }`;
    if (!filter) return JSON.stringify({ query: `subscription { dealEvent { ${selection} } }` });
    const query = `subscription ($least: Float) { dealEvent(filter: { value: { gte: $least } }) { ${selection} } }`;
    return `{"query":${JSON.stringify(query)},"variables":{"least":§}}`;
  });
}

let serial = 0;
const RUN = process.pid.toString(36);

export function deal(sentMicros: number): Deal {
  serial += 1;
  return {
    event_id: `${RUN}-${serial}`,
    action: 'changed',
    company_id: 'acme',
    id: String(10_000 + (serial % 1_000)),
    title: 'Renewal',
    account: 'NW',
    value: 12_500,
    stage: 'won',
    sent: String(sentMicros).padStart(16, '0'),
  };
}
