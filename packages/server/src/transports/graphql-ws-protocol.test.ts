import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { closeReasons } from '../live/close-reasons.ts';
import {
  authorizationOf,
  type ClientMessage,
  decide,
  type Decision,
  type MessageType,
  parseMessage,
  type Phase,
  PROTOCOL_LIMITS,
  TABLE,
} from './graphql-ws-protocol.ts';

const REQUEST = { query: '{ a }', operationName: null, variables: {}, extensions: {}, lastCursor: null };

const MESSAGES: { readonly [M in MessageType]: ClientMessage & { type: M } } = {
  connection_init: { type: 'connection_init', payload: null },
  subscribe: { type: 'subscribe', id: '1', request: REQUEST },
  complete: { type: 'complete', id: '1' },
  ping: { type: 'ping', payload: { a: 1 } },
  pong: { type: 'pong' },
  invalid: { type: 'invalid', why: 'it is wrong' },
};

const PHASES = Object.keys(TABLE) as Phase[];
const TYPES = Object.keys(MESSAGES) as MessageType[];

/** The table of spec/protocol.md section 3.2, written a second time by hand: [id free, id taken]. */
const SPEC: { readonly [P in Phase]: { readonly [M in MessageType]: readonly [string, string] } } = {
  waiting: both({ connection_init: 'authenticate', subscribe: '4401', complete: 'ignore', ping: 'pong', pong: 'ignore', invalid: '4400' }),
  opening: both({ connection_init: '4429', subscribe: '4401', complete: 'ignore', ping: 'pong', pong: 'ignore', invalid: '4400' }),
  ready: {
    ...both({ connection_init: '4429', subscribe: '', complete: '', ping: 'pong', pong: 'ignore', invalid: '4400' }),
    subscribe: ['start', '4409'],
    complete: ['ignore', 'stop'],
  },
  closed: both({ connection_init: 'ignore', subscribe: 'ignore', complete: 'ignore', ping: 'ignore', pong: 'ignore', invalid: 'ignore' }),
};

function both(row: { readonly [M in MessageType]: string }): { readonly [M in MessageType]: readonly [string, string] } {
  const twice = (cell: string): readonly [string, string] => [cell, cell];
  return {
    connection_init: twice(row.connection_init),
    subscribe: twice(row.subscribe),
    complete: twice(row.complete),
    ping: twice(row.ping),
    pong: twice(row.pong),
    invalid: twice(row.invalid),
  };
}

function named(decision: Decision): string {
  return decision.kind === 'close' ? String(decision.reason.code) : decision.kind;
}

describe('graphql-transport-ws: every cell of the table', () => {
  it.each(PHASES.flatMap((phase) => TYPES.map((type) => [phase, type] as const)))('%s × %s', (phase, type) => {
    expect(named(decide(phase, MESSAGES[type], () => false))).toBe(SPEC[phase][type][0]);
    expect(named(decide(phase, MESSAGES[type], () => true))).toBe(SPEC[phase][type][1]);
  });
});

/** Texts near the protocol: right messages, wrong ones, and bytes. */
const anyText = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...TYPES.filter((type) => type !== 'invalid')).chain(nearMessage) },
  fc.json(),
  fc.string(),
  fc.string({ unit: 'binary' }),
);

function nearMessage(type: string): fc.Arbitrary<string> {
  const value = fc.oneof(
    fc.constant(undefined),
    fc.jsonValue(),
    fc.constant({ query: '{ a }' }),
    fc.record({ query: fc.jsonValue(), variables: fc.jsonValue() }),
  );
  return fc
    .record({ type: fc.constant(type), id: fc.oneof(fc.constantFrom('1', '2', '__proto__', ''), fc.jsonValue()), payload: value })
    .map((message) => JSON.stringify(message));
}

describe('graphql-transport-ws: any conversation', () => {
  it('parses any text to a message, quotes nothing of it, and every id it accepts is within the limit', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const message = parseMessage(text);
        if (message.type === 'invalid') expect(message.why.length).toBeLessThan(100);
        if (message.type === 'subscribe' || message.type === 'complete') {
          expect(message.id.length).toBeGreaterThan(0);
          expect(message.id.length).toBeLessThanOrEqual(PROTOCOL_LIMITS.maxIdLength);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps the invariants of section 3.2 for any sequence', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(anyText, fc.constant('ACCEPTED'), fc.constant('ENDED')), { maxLength: 40 }), (inputs) => {
        const model = { phase: 'waiting' as Phase, active: new Set<string>(), inits: 0, closes: 0 };
        for (const input of inputs) {
          if (input === 'ACCEPTED') {
            if (model.phase === 'opening') model.phase = 'ready';
            continue;
          }
          if (input === 'ENDED') {
            model.active.clear();
            continue;
          }
          follow(
            model,
            decide(model.phase, parseMessage(input), (id) => model.active.has(id)),
          );
        }
        expect(model.inits).toBeLessThanOrEqual(1);
        expect(model.closes).toBeLessThanOrEqual(1);
      }),
      { numRuns: 1_000 },
    );
  });
});

function follow(model: { phase: Phase; active: Set<string>; inits: number; closes: number }, decision: Decision): void {
  const { phase } = model;
  // 7: a closed connection does nothing.
  if (phase === 'closed') expect(decision.kind).toBe('ignore');
  switch (decision.kind) {
    case 'authenticate':
      model.inits++;
      model.phase = 'opening';
      return;
    case 'start':
      // 2 and 3: only when ready, only under a free id.
      expect(phase).toBe('ready');
      expect(model.active.has(decision.id)).toBe(false);
      model.active.add(decision.id);
      return;
    case 'stop':
      expect(model.active.delete(decision.id)).toBe(true);
      return;
    case 'close':
      model.closes++;
      model.phase = 'closed';
      expect(Buffer.byteLength(decision.reason.reason)).toBeLessThanOrEqual(123);
      expect([4400, 4401, 4409, 4429]).toContain(decision.reason.code);
      return;
    case 'pong':
    case 'ignore':
      return;
  }
}

describe('graphql-transport-ws: details', () => {
  it('keeps close reasons within a close frame, whatever the id', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 256 }), (id) => {
        const decision = decide('ready', { type: 'subscribe', id, request: REQUEST }, () => true);
        expect(decision).toMatchObject({ kind: 'close', reason: { code: closeReasons.duplicateSubscriber.code } });
        const reason = decision.kind === 'close' ? decision.reason.reason : '';
        expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
        expect(reason).toMatch(/^Subscriber for [^]+ already exists$/);
        expect(reason.isWellFormed()).toBe(true);
      }),
    );
  });

  it('finds no authorization in inherited, empty or odd fields', () => {
    for (const payload of [
      null,
      {},
      { authorization: '' },
      { authorization: 1 },
      { headers: 'x' },
      { headers: [] },
      JSON.parse('{"__proto__":{"authorization":"Bearer x"}}'),
    ]) {
      expect(authorizationOf(payload as Parameters<typeof authorizationOf>[0])).toBeUndefined();
    }
  });
});
