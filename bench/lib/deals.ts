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
type Deal { id: ID! title: String! account: String! value: Float stage: ID! sent: String! }
type DealEvent { action: String! id: ID deal: Deal }
input FloatFilter { gte: Float }
input DealFilter { value: FloatFilter }
type Subscription { dealEvent(filter: DealFilter): DealEvent! }
`;

export const ALL_DEALS = 'subscription { dealEvent { action id deal { id title account value stage sent } } }';

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

let serial = 0;
const RUN = process.pid.toString(36);

export function deal(sentMicros: number): Deal {
  serial += 1;
  return {
    event_id: `${RUN}-${serial}`,
    action: 'changed',
    company_id: 'acme',
    id: String(10_000 + (serial % 1_000)),
    title: 'Renewal of the yearly plan',
    account: 'Northwind',
    value: 12_500,
    stage: 'negotiation',
    sent: String(sentMicros).padStart(16, '0'),
  };
}
