import fc from 'fast-check';
import type { LiveEvent } from '../events/live-event.ts';
import type { Json, JsonObject } from '../kit/json.ts';
import { dealType, liveEvent } from './testing.ts';

/** Few values, so that random filters and random events meet; some of a wrong kind, so that they are met too. */
const text = fc.constantFrom('', 'a', 'ab', 'abc', 'abcabc', 'bca', '__proto__', 'constructor', 'Ä', '😀x');
const id = fc.constantFrom('1', '2', '10', 'x', '__proto__', 'constructor');
const number = fc.constantFrom(-1, -0, 0, 0.5, 1, 2, 10, 1e21);
const date = fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-01T01:00:00+01:00', '2026-06-01T00:00:00.500Z', '2026-06-01T00:00:00.5001Z');
const state = fc.constantFrom('OPEN', 'WON', 'LOST');
const other: fc.Arbitrary<Json> = fc.constantFrom<Json>(1, 'x', { a: 1, b: [2] }, { b: [2], a: 1 }, [1], false);
const wrong: fc.Arbitrary<Json> = fc.constantFrom<Json>({ a: 1 }, [], 'not a number', '7', 7, true, '2026-13-45T99:00:00Z');

const byField = { title: text, stageId: id, value: number, count: number, won: fc.boolean(), state, closeAt: date, extra: other } as const;

const idOrNumber: fc.Arbitrary<Json> = fc.oneof(id, fc.constantFrom(1, 2, 10));
const numberOrText: fc.Arbitrary<Json> = fc.oneof(number, fc.constantFrom('1', '0.5', '2e0', '01'));

export function present(arbitrary: fc.Arbitrary<Json>): fc.Arbitrary<Json | undefined> {
  return fc.oneof(
    { weight: 6, arbitrary },
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: wrong },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
}

export const entityArbitrary: fc.Arbitrary<JsonObject> = fc
  .record({
    title: present(text),
    stage_id: present(idOrNumber),
    value: present(numberOrText),
    count: present(number),
    won: present(fc.boolean()),
    state: present(state),
    closeAt: present(date),
    extra: present(other),
    tags: present(fc.array(fc.oneof<fc.Arbitrary<Json>[]>(text, fc.constant(null)), { maxLength: 3 })),
  })
  .map((entity) => Object.fromEntries(Object.entries(entity).filter(([, value]) => value !== undefined)) as JsonObject);

function operators(operand: fc.Arbitrary<Json>, kinds: readonly string[]): fc.Arbitrary<JsonObject> {
  const orNull = fc.oneof({ weight: 9, arbitrary: operand }, { weight: 1, arbitrary: fc.constant<Json>(null) });
  const byKind = (kind: string): fc.Arbitrary<Json> => {
    if (kind === 'isNull') return fc.oneof<fc.Arbitrary<Json>[]>(fc.boolean(), fc.constant(null));
    if (kind === 'in' || kind === 'notIn') return fc.array(orNull, { maxLength: 3 });
    if (kind === 'between') return fc.tuple(operand, operand).map(([a, b]): Json => [a, b]);
    return orNull;
  };
  const one = fc.constantFrom(...kinds).chain((kind) => byKind(kind).map((value): readonly [string, Json] => [kind, value]));
  return fc.array(one, { minLength: 1, maxLength: 2 }).map((entries) => Object.fromEntries<Json>(entries));
}

const EQUALITY = ['eq', 'ne', 'in', 'notIn', 'isNull'];
const ORDER = [...EQUALITY, 'lt', 'lte', 'gt', 'gte', 'between'];
const TEXT = [...ORDER, 'contains', 'startsWith'];

const leaf: fc.Arbitrary<JsonObject> = fc.oneof(
  operators(byField.title, TEXT).map((one): JsonObject => ({ title: one })),
  operators(byField.stageId, TEXT).map((one): JsonObject => ({ stageId: one })),
  operators(byField.value, ORDER).map((one): JsonObject => ({ value: one })),
  operators(byField.count, ORDER).map((one): JsonObject => ({ count: one })),
  operators(byField.closeAt, ORDER).map((one): JsonObject => ({ closeAt: one })),
  operators(byField.won, ['eq', 'ne', 'isNull']).map((one): JsonObject => ({ won: one })),
  operators(byField.state, EQUALITY).map((one): JsonObject => ({ state: one })),
  operators(byField.extra, EQUALITY).map((one): JsonObject => ({ extra: one })),
  operators(text, ['contains', 'isNull'])
    .map((one): JsonObject => ({ tags: one }))
    .filter((one) => Object.hasOwn(one, 'tags')),
);

export const filterArbitrary: fc.Arbitrary<JsonObject> = fc.letrec<{ filter: JsonObject }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    leaf,
    fc.tuple(leaf, leaf).map(([a, b]): JsonObject => ({ ...a, ...b })),
    fc.array(tie('filter'), { maxLength: 3 }).map((and): JsonObject => ({ and })),
    fc.array(tie('filter'), { maxLength: 3 }).map((or): JsonObject => ({ or })),
    tie('filter').map((not): JsonObject => ({ not })),
    fc.tuple(leaf, tie('filter')).map(([a, not]): JsonObject => ({ ...a, not })),
    fc.constant<JsonObject>({}),
  ),
})).filter;

export const eventArbitrary: fc.Arbitrary<LiveEvent> = fc
  .record({
    entity: entityArbitrary,
    key: fc.oneof(id, fc.constant(null)),
    action: fc.constantFrom('ADDED' as const, 'CHANGED' as const, 'DELETED' as const),
  })
  .map((over) => liveEvent(over));

export const argumentsArbitrary = fc.record({
  ids: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.array(id, { maxLength: 3 }) }),
  actions: fc.oneof(
    { weight: 3, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.subarray(['ADDED', 'CHANGED', 'DELETED', 'GAP']) },
  ),
  filter: fc.oneof({ weight: 1, arbitrary: fc.constant(null) }, { weight: 5, arbitrary: filterArbitrary }),
});

export const fieldArbitrary = fc.constantFrom('dealEvent', 'dealEvent', 'dealAdded', 'dealChanged', 'dealDeleted');

export const testType = dealType();
