import { expect, test } from 'vitest';
import { type BoardAction, dealsIn, EMPTY_BOARD, reduceBoard } from '../board/src/board-state.ts';
import type { DealData, DealEventData } from '../board/src/documents.ts';

const STAGES = [
  { id: 'proposal', name: 'Proposal', probability: 0.5, kind: 'OPEN' },
  { id: 'won', name: 'Won', probability: 1, kind: 'WON' },
] as const;
const USERS = [{ id: 'ines', name: 'Ines Albrecht', jobTitle: 'Head of Sales' }];

function deal(id: string, rev: number, more: Partial<DealData> = {}): DealData {
  const base = { id, title: `Deal ${id}`, account: 'Elbe Pharma', value: 100, currency: 'EUR', stageId: 'proposal', ownerId: 'ines', rev };
  return {
    ...base,
    updatedAt: '2026-01-01T00:00:00Z',
    stage: { id: 'proposal', name: 'Proposal' },
    owner: { id: 'ines', name: 'Ines Albrecht' },
    ...more,
  };
}

function event(action: DealEventData['action'], data: DealData | null, more: Partial<DealEventData> = {}): BoardAction {
  const base = { cursor: 'c', action, id: data?.id ?? null, at: '2026-01-01T00:00:00Z', raw: null, delta: null, missed: null, deal: data };
  return { kind: 'event', now: Date.parse('2026-01-01T00:00:01Z'), event: { ...base, ...more } };
}

const snapshot = (...deals: DealData[]): BoardAction => ({ kind: 'snapshot', stages: STAGES, users: USERS, deals });
const run = (...actions: BoardAction[]) => actions.reduce(reduceBoard, EMPTY_BOARD);
const revs = (state: ReturnType<typeof run>) => Object.fromEntries([...state.deals].map(([id, { rev }]) => [id, rev]));

test('what comes before the first answer is held, then applied where it is newer', () => {
  const state = run(
    event('CHANGED', deal('a', 3)),
    event('ADDED', deal('b', 1)),
    event('CHANGED', deal('c', 2)),
    snapshot(deal('a', 2), deal('c', 5)),
  );
  expect(revs(state)).toEqual({ a: 3, b: 1, c: 5 });
  expect(state.feed.map(({ change }) => change.kind)).toEqual(['added', 'edited']);
});

test('an older or repeated event changes nothing', () => {
  const before = run(snapshot(deal('a', 4)));
  expect(reduceBoard(before, event('CHANGED', deal('a', 4)))).toBe(before);
  expect(reduceBoard(before, event('CHANGED', deal('a', 3)))).toBe(before);
});

test('moves, values and owners are told apart', () => {
  const state = run(
    snapshot(deal('a', 1), deal('b', 1), deal('c', 1)),
    event('CHANGED', deal('a', 2, { stageId: 'won' })),
    event('CHANGED', deal('b', 2, { value: 150 })),
    event('CHANGED', deal('c', 2, { ownerId: null, owner: null })),
    event('DELETED', null, { id: 'a' }),
  );
  expect(state.feed.map(({ change }) => change.kind)).toEqual(['deleted', 'owner', 'valued', 'moved']);
  expect(state.feed[0]?.latencyMs).toBe(1_000);
  expect(state.deals.has('a')).toBe(false);
});

test('without the enriched part the published event is enough', () => {
  const raw = {
    id: 'a',
    title: 'Deal a',
    account: 'Elbe Pharma',
    value: 120,
    currency: 'EUR',
    stage_id: 'won',
    owner_id: 'ines',
    rev: 2,
    updated_at: '',
  };
  const state = run(snapshot(deal('a', 1)), event('CHANGED', null, { id: 'a', raw }));
  expect(state.deals.get('a')).toMatchObject({ stageId: 'won', value: 120, ownerName: 'Ines Albrecht' });
});

test('a gap asks for the board anew and says how much is missing', () => {
  const state = run(snapshot(deal('a', 1)), event('GAP', null, { missed: 12 }));
  expect(state.loaded).toBe(false);
  expect(state.feed[0]?.change).toEqual({ kind: 'gap', missed: 12 });
});

test('an unconfirmed move is shown at once, and taken back where it failed', () => {
  const moving = run(snapshot(deal('a', 1)), { kind: 'moving', id: 'a', stageId: 'won' });
  expect(dealsIn(moving, 'won', null).map(({ id }) => id)).toEqual(['a']);
  expect(dealsIn(reduceBoard(moving, { kind: 'failed', id: 'a' }), 'proposal', null).length).toBe(1);
});

test('the answer to a move never undoes a newer event', () => {
  const state = run(
    snapshot(deal('a', 1)),
    { kind: 'moving', id: 'a', stageId: 'won' },
    event('CHANGED', deal('a', 3, { stageId: 'proposal', value: 90 })),
    { kind: 'confirmed', deal: deal('a', 2, { stageId: 'won' }) },
  );
  expect(state.deals.get('a')).toMatchObject({ rev: 3, stageId: 'proposal', value: 90 });
});

test('the most valuable deal stands first', () => {
  const state = run(snapshot(deal('a', 1, { value: 5 }), deal('b', 1, { value: 9 }), deal('c', 1, { value: 9 })));
  expect(dealsIn(state, 'proposal', null).map(({ id }) => id)).toEqual(['b', 'c', 'a']);
});
