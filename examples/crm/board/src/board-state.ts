import type { DealData, DealEventData, RawDeal, Stage, User } from './documents.ts';

/** A deal as the board shows it. */
export type Deal = {
  readonly id: string;
  readonly title: string;
  readonly account: string;
  readonly value: number;
  readonly currency: string;
  readonly stageId: string;
  readonly ownerId: string | null;
  readonly ownerName: string | null;
  readonly rev: number;
};

export type Change =
  | { readonly kind: 'added'; readonly deal: Deal }
  | { readonly kind: 'moved'; readonly deal: Deal; readonly from: string }
  | { readonly kind: 'valued'; readonly deal: Deal; readonly from: number }
  | { readonly kind: 'owner'; readonly deal: Deal; readonly from: string | null }
  | { readonly kind: 'edited'; readonly deal: Deal }
  | { readonly kind: 'deleted'; readonly deal: Deal }
  /** The server could not prove that nothing was lost; the board was read anew. */
  | { readonly kind: 'gap'; readonly missed: number | null };

export type FeedItem = {
  readonly key: number;
  readonly at: number;
  readonly by: string | null;
  readonly latencyMs: number | null;
  readonly change: Change;
};

export type BoardState = {
  readonly stages: readonly Stage[];
  readonly users: readonly User[];
  readonly deals: ReadonlyMap<string, Deal>;
  /** False until the first answer, and again while the board is read anew: events are held meanwhile. */
  readonly loaded: boolean;
  readonly held: readonly DealEventData[];
  /** Moves of this user that the server has not confirmed yet: where the card is shown meanwhile. */
  readonly moving: ReadonlyMap<string, string>;
  /** The newest first. */
  readonly feed: readonly FeedItem[];
  readonly events: number;
};

export type BoardAction =
  | { readonly kind: 'reload' }
  | { readonly kind: 'snapshot'; readonly stages: readonly Stage[]; readonly users: readonly User[]; readonly deals: readonly DealData[] }
  | { readonly kind: 'event'; readonly event: DealEventData; readonly now: number }
  | { readonly kind: 'moving'; readonly id: string; readonly stageId: string }
  | { readonly kind: 'confirmed'; readonly deal: DealData }
  | { readonly kind: 'failed'; readonly id: string };

const FEED_LENGTH = 60;
const MAX_HELD = 2_000;

export const EMPTY_BOARD: BoardState = {
  stages: [],
  users: [],
  deals: new Map(),
  loaded: false,
  held: [],
  moving: new Map(),
  feed: [],
  events: 0,
};

export function reduceBoard(state: BoardState, action: BoardAction): BoardState {
  switch (action.kind) {
    case 'reload':
      return { ...state, loaded: false };
    case 'snapshot':
      return takeSnapshot(state, action);
    case 'event':
      return takeEvent(state, action.event, action.now);
    case 'moving':
      return { ...state, moving: new Map(state.moving).set(action.id, action.stageId) };
    case 'confirmed':
      return { ...state, moving: without(state.moving, action.deal.id), deals: put(state.deals, fromData(action.deal)) };
    case 'failed':
      return { ...state, moving: without(state.moving, action.id) };
  }
}

function takeSnapshot(state: BoardState, { stages, users, deals }: BoardAction & { kind: 'snapshot' }): BoardState {
  let next: BoardState = {
    ...state,
    stages,
    users,
    deals: new Map(deals.map((deal) => [deal.id, fromData(deal)])),
    loaded: true,
    held: [],
  };
  // What came while the answer was on its way may be in it already: revisions tell.
  for (const event of state.held) next = takeEvent(next, event, Date.now());
  return next;
}

function takeEvent(state: BoardState, event: DealEventData, now: number): BoardState {
  if (event.action === 'GAP') return remember({ ...state, loaded: false }, { kind: 'gap', missed: event.missed }, event, now);
  if (!state.loaded) return { ...state, held: [...state.held, event].slice(-MAX_HELD) };
  const id = event.id ?? '';
  const known = state.deals.get(id);
  if (event.action === 'DELETED' || event.action === 'LEFT') {
    if (!known) return state;
    return remember(
      { ...state, deals: without(state.deals, id), moving: without(state.moving, id) },
      { kind: 'deleted', deal: known },
      event,
      now,
    );
  }
  const deal = event.deal ? fromData(event.deal) : event.raw ? fromRaw(event.raw, state.users) : null;
  if (!deal || (known && deal.rev <= known.rev)) return state;
  return remember({ ...state, deals: put(state.deals, deal) }, changeOf(known, deal), event, now);
}

function changeOf(before: Deal | undefined, deal: Deal): Change {
  if (!before) return { kind: 'added', deal };
  if (before.stageId !== deal.stageId) return { kind: 'moved', deal, from: before.stageId };
  if (before.value !== deal.value) return { kind: 'valued', deal, from: before.value };
  if (before.ownerId !== deal.ownerId) return { kind: 'owner', deal, from: before.ownerName };
  return { kind: 'edited', deal };
}

function remember(state: BoardState, change: Change, event: DealEventData, now: number): BoardState {
  const latency = now - Date.parse(event.at);
  const item: FeedItem = {
    key: state.events + 1,
    at: now,
    by: event.raw?.changed_by ?? null,
    // Only where the clocks agree: the demonstration runs on one machine.
    latencyMs: latency >= 0 && latency < 60_000 ? latency : null,
    change,
  };
  return { ...state, feed: [item, ...state.feed].slice(0, FEED_LENGTH), events: state.events + 1 };
}

/** Never back to an older revision: the answer to a mutation and the event that it causes may come in any order. */
function put(deals: ReadonlyMap<string, Deal>, deal: Deal): ReadonlyMap<string, Deal> {
  const known = deals.get(deal.id);
  return known && known.rev > deal.rev ? deals : new Map(deals).set(deal.id, deal);
}

function without<V>(map: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  if (!map.has(key)) return map;
  const next = new Map(map);
  next.delete(key);
  return next;
}

function fromData({ id, title, account, value, currency, stageId, ownerId, rev, owner }: DealData): Deal {
  return { id, title, account, value: value ?? 0, currency, stageId, ownerId, ownerName: owner?.name ?? null, rev };
}

/** Where the enriched part is missing (a subgraph is down), the published event still tells enough. */
function fromRaw(raw: RawDeal, users: readonly User[]): Deal {
  const ownerName = users.find((user) => user.id === raw.owner_id)?.name ?? null;
  const { id, title, account, value, currency, rev } = raw;
  return { id, title, account, value, currency, stageId: raw.stage_id, ownerId: raw.owner_id, ownerName, rev };
}

/** The cards of one stage as shown, unconfirmed moves included: the most valuable first. */
export function dealsIn(state: BoardState, stageId: string, carried: { readonly id: string; readonly to: string } | null): Deal[] {
  return [...state.deals.values()]
    .filter((deal) => shownIn(state, deal, carried) === stageId)
    .toSorted((a, b) => b.value - a.value || (a.id < b.id ? -1 : 1));
}

export function shownIn(state: BoardState, deal: Deal, carried: { readonly id: string; readonly to: string } | null): string {
  return carried?.id === deal.id ? carried.to : (state.moving.get(deal.id) ?? deal.stageId);
}
