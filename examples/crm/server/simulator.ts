import { COMPANIES, type Company, OPEN_STAGES } from './companies.ts';
import type { DealRow, DealStore } from './deal-store.ts';
import { pick, type Random } from './random.ts';

/** The size of a board: new deals come while there are fewer, old ones are archived while there are more. */
const OPEN_DEALS = { few: 16, many: 22 } as const;
/** Won and lost deals that stay on the board, for each of the two stages. */
const CLOSED_DEALS = 4;

/** Deals in each stage at the start: a funnel, as a healthy board is. */
const SEED = [
  ['prospecting', 5],
  ['qualified', 5],
  ['proposal', 4],
  ['negotiation', 3],
  ['won', 2],
  ['lost', 1],
] as const;

/** Fills an empty store, without events: history has none. */
export function seedDeals(store: DealStore, random: Random): void {
  for (const company of COMPANIES) {
    for (const [stage, deals] of SEED) {
      for (let i = 0; i < deals; i++) createDeal(store, company, random, stage, true);
    }
  }
}

/** One believable change in one company. */
export function liveOneMoment(store: DealStore, random: Random): void {
  const company = pick(random, COMPANIES);
  const deals = store.list(company.id, null, 500);
  const open = deals.filter((deal) => OPEN_STAGES.includes(deal.stage_id));
  const settled = ['won', 'lost'].flatMap((stage) => deals.filter((deal) => deal.stage_id === stage).slice(CLOSED_DEALS));
  const old = settled[0];
  if (old) store.delete(company.id, old.id, 'archive');
  else if (open.length < OPEN_DEALS.few || (open.length < OPEN_DEALS.many && random() < 0.14))
    createDeal(store, company, random, 'prospecting', false);
  else changeDeal(store, company, pick(random, open), random);
}

function changeDeal(store: DealStore, company: Company, deal: DealRow, random: Random): void {
  const by = deal.owner_id ?? pick(random, company.users).id;
  const dice = random();
  if (dice < 0.52) store.change(company.id, deal.id, { stage_id: nextStage(deal.stage_id, random) }, by);
  else if (dice < 0.86) store.change(company.id, deal.id, { value: revalue(deal.value, random) }, by);
  else if (dice < 0.96) store.change(company.id, deal.id, { owner_id: pick(random, company.users).id }, company.users[0]?.id ?? by);
  else store.delete(company.id, deal.id, by);
}

/** Mostly one step on, sometimes one back; the last step is won more often than lost. */
function nextStage(stage: string, random: Random): string {
  const at = OPEN_STAGES.indexOf(stage);
  if (random() < 0.08) return 'lost';
  if (at > 0 && random() < 0.15) return OPEN_STAGES[at - 1] ?? stage;
  return OPEN_STAGES[at + 1] ?? (random() < 0.7 ? 'won' : 'lost');
}

/** Between a fifth less and a third more, as round as people make it; never the same. */
function revalue(value: number, random: Random): number {
  const next = roundly(value * (0.8 + random() * 0.53));
  return next === value ? next + step(value) : next;
}

function createDeal(store: DealStore, company: Company, random: Random, stage: string, silent: boolean): void {
  const [low, high] = company.values;
  const owner = pick(random, company.users).id;
  const deal = {
    company_id: company.id,
    title: freshTitle(store, company, random),
    account: pick(random, company.accounts),
    // Squared: many small deals, few large ones.
    value: roundly(low + (high - low) * random() ** 2),
    currency: company.currency,
    stage_id: stage,
    owner_id: owner,
  };
  store.create(deal, owner, { silent });
}

/** Rather one that no other deal on the board has, so that people can tell them apart. */
function freshTitle(store: DealStore, company: Company, random: Random): string {
  const taken = new Set(store.list(company.id, null, 500).map((deal) => deal.title));
  const fresh = company.products.filter((product) => !taken.has(product));
  return pick(random, fresh.length > 0 ? fresh : company.products);
}

function step(value: number): number {
  return value < 5_000 ? 50 : value < 50_000 ? 500 : 1_000;
}

function roundly(value: number): number {
  return Math.max(1, Math.round(value / step(value))) * step(value);
}
