import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Identity } from '../access/identity.ts';
import type { Audience, LiveEvent } from '../events/live-event.ts';
import type { Visibility } from '../events/live-type.ts';
import { ManualClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import type { JsonObject } from '../kit/json.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { argumentsArbitrary, entityArbitrary, fieldArbitrary } from './arbitraries.ts';
import { createLiveEngine } from './live-engine.ts';
import { naiveMatches } from './naive-matcher.ts';
import { Outbox } from './outbox.ts';
import { dealType, FakeGenerations, fakeOperation, FakeTransport, liveEvent, SimChannels, testCursors, until } from './testing.ts';

/** Names that a careless map or a careless key would confuse. */
const tenant = fc.constantFrom('acme', 'other', '__proto__', 'constructor', 'acme","other', '');
const user = fc.constantFrom('ann', 'bob', '__proto__', 'tenant');
const group = fc.constantFrom('sales', 'ann', 'constructor');

const identity: fc.Arbitrary<Identity> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('user' as const),
      tenant,
      user,
      groups: fc.uniqueArray(group),
      roles: fc.constant<string[]>([]),
      scopes: fc.constant<string[]>([]),
      expiresAt: fc.constant(null),
      issuer: fc.constant('test'),
      tokenId: fc.constant(null),
      token: fc.constant('secret'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('anonymous' as const), tenant: fc.oneof(tenant, fc.constant(null)) }) },
);

const audience: fc.Arbitrary<Audience> = fc.oneof(
  fc.constant<Audience>({ kind: 'tenant' }),
  fc.constant<Audience>({ kind: 'public' }),
  fc.record({ kind: fc.constant('members' as const), users: fc.array(user, { maxLength: 3 }), groups: fc.array(group, { maxLength: 2 }) }),
);

const published = fc
  .record({
    tenant,
    audience,
    entity: entityArbitrary,
    key: fc.constantFrom('1', '2', 'x'),
    action: fc.constantFrom('ADDED' as const, 'CHANGED' as const, 'DELETED' as const),
  })
  .map((over) => liveEvent(over));

const subscription = fc.record({ identity, field: fieldArbitrary, args: argumentsArbitrary, enriched: fc.boolean() });

/** The rule in words, sharing nothing with `audience.ts`. */
function visible(who: Identity, event: LiveEvent, visibility: Visibility): boolean {
  if (who.tenant !== event.tenant) return false;
  if (who.kind === 'anonymous') return visibility === 'PUBLIC' && event.audience.kind === 'public';
  if (event.audience.kind !== 'members') return true;
  return event.audience.users.some((one) => one === who.user) || event.audience.groups.some((one) => who.groups.some((own) => own === one));
}

describe('tenants, users and visibilities', () => {
  it('every subscriber gets what a straight loop gives, and nothing of another tenant', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<Visibility>('PUBLIC', 'TENANT', 'EVENT'),
        fc.array(subscription, { minLength: 1, maxLength: 14 }),
        fc.array(published, { minLength: 1, maxLength: 14 }),
        async (visibility, subscriptions, events) => {
          const type = dealType({ visibility });
          const channels = new SimChannels();
          const generations = new FakeGenerations();
          const engine = createLiveEngine({
            channels,
            generations,
            cursors: testCursors,
            clock: new ManualClock(),
            metrics: new Metrics(),
            log: silentLogger,
          });
          const fields = new Map<string, ReturnType<typeof fakeOperation>>();
          const operationFor = (field: string, enriched: boolean) => {
            const document = `subscription ($a: A) { ${field}(filter: $a) { ${enriched ? 'deal { owner }' : 'cursor'} } }`;
            const operation = fields.get(document) ?? fakeOperation({ document, field, type, enrich: enriched ? async () => 'x' : null });
            fields.set(document, operation);
            return operation;
          };
          const clients = subscriptions.map((one) => {
            const transport = new FakeTransport();
            const operation = operationFor(one.field, one.enriched);
            const variables = one.args as JsonObject;
            let refused: string | null = null;
            try {
              engine.subscribe({
                operation,
                plan: operation.subscription,
                variables,
                rawVariables: variables,
                lease: generations.lease(),
                identity: one.identity,
                outbox: new Outbox(transport, 1_000_000),
                operationId: '1',
                lastCursor: null,
                owner: { subscriptionEnded: () => {} },
              });
            } catch (error) {
              if (!(error instanceof MillraceError)) throw error;
              refused = error.code;
            }
            return { ...one, transport, refused };
          });
          await until(() => channels.attached === engine.figures.feeds);
          await Promise.resolve();
          for (const event of events) channels.emit(event);
          for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
          for (const { identity: who, field, args, transport, refused } of clients) {
            const admitted = who.kind === 'user' || (who.tenant !== null && visibility === 'PUBLIC');
            expect(refused).toBe(admitted ? null : 'UNAUTHENTICATED');
            const expected = events.filter(
              (event) => admitted && visible(who, event, visibility) && naiveMatches(field, args, type, event),
            );
            const raws = transport.delivered().map(({ id, raw }) => [id, raw]);
            expect(raws).toEqual(expected.map((event) => [event.key, event.raw]));
            for (const { cursor } of transport.delivered()) testCursors.verify(cursor, { tenant: who.tenant ?? 'none', type: 'Deal' });
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
