/**
 * Two publishers, two subscribers, one Redis, and everything that can happen between them in random order: connections cut, messages lost in
 * silence, publishers and subscribers that come and go, Redis started again without its data. The oracle knows nothing of how it is done:
 * each subscriber hears every event once and in order, or is told of a gap of exactly the right size.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RedisService } from '../../../../tools/services/redis.ts';
import { available } from '../../../../tools/services/shared.ts';
import { systemRandom } from '../kit/random.ts';
import { DEALS } from './conformance.ts';
import { RedisConnection } from './redis-connection.ts';
import { liveEvent } from './testing/events.ts';
import { RedisProcess, standalone, Witness } from './testing/redis-process.ts';

type Step =
  | { readonly kind: 'publish'; readonly by: 0 | 1; readonly count: number }
  /** The last events of the publisher once more, as after an answer that was lost. */
  | { readonly kind: 'again'; readonly by: 0 | 1 }
  | { readonly kind: 'cut'; readonly whose: 'normal' | 'pubsub' }
  | { readonly kind: 'deaf'; readonly who: 0 | 1; readonly deaf: boolean }
  | { readonly kind: 'come back'; readonly who: 0 | 1 }
  /** A publisher does not hear who is listened to. */
  | { readonly kind: 'ignorant'; readonly by: 0 | 1; readonly deaf: boolean }
  /** Somebody subscribes to a channel that nobody has listened to. */
  | { readonly kind: 'newcomer'; readonly who: 0 | 1 }
  | { readonly kind: 'restart' };

const either = fc.constantFrom(0 as const, 1 as const);
const steps = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: fc.record({ kind: fc.constant('publish' as const), by: either, count: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('again' as const), by: either }) },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('cut' as const), whose: fc.constantFrom('normal' as const, 'pubsub' as const) }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('deaf' as const), who: either, deaf: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('come back' as const), who: either }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('ignorant' as const), by: either, deaf: fc.boolean() }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('newcomer' as const), who: either }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
  ),
  { minLength: 10, maxLength: 40 },
);

/** One subscription of a subscriber: from when it was attached until it left. */
type Sitting = { readonly witness: Witness; readonly from: { readonly epoch: string; readonly offset: number }; close(): void };

type Listening = { readonly process: RedisProcess; deaf: boolean };

class World {
  readonly #redis: RedisService;
  readonly #publishers: readonly Listening[];
  readonly #subscribers: readonly Listening[];
  readonly #sittings: Sitting[] = [];
  readonly #current: [Sitting | null, Sitting | null] = [null, null];
  /** Publishing goes on while other things happen; each publisher keeps its own order. */
  readonly #publishing: [Promise<void>, Promise<void>] = [Promise.resolve(), Promise.resolve()];
  readonly #last: [string[], string[]] = [[], []];
  readonly #taken: string[] = [];
  #next = 0;
  restarts = 0;

  private constructor(redis: RedisService, publishers: readonly Listening[], subscribers: readonly Listening[]) {
    this.#redis = redis;
    this.#publishers = publishers;
    this.#subscribers = subscribers;
  }

  static async make(redis: RedisService, maxEvents: number): Promise<World> {
    const options = {
      store: standalone(redis.port),
      keyPrefix: `world-${systemRandom.hex(6)}`,
      partitions: 2,
      maxEvents,
      leaseMs: 150,
      checkMs: 30,
    };
    const publishers = await Promise.all([0, 1].map(() => listening(options)));
    const subscribers = await Promise.all([0, 1].map(() => listening(options)));
    const world = new World(redis, publishers, subscribers);
    for (const who of [0, 1] as const) await world.#sit(who);
    return world;
  }

  async run(step: Step): Promise<void> {
    switch (step.kind) {
      case 'publish': {
        const ids = Array.from({ length: step.count }, () => `${this.#next++}`);
        this.#last[step.by] = ids;
        return this.#publish(step.by, ids);
      }
      case 'again':
        return this.#publish(step.by, this.#last[step.by]);
      case 'cut':
        await this.#redis.command('CLIENT', 'KILL', 'TYPE', step.whose, 'SKIPME', 'yes');
        return;
      case 'deaf':
        this.#subscribers[step.who]!.deaf = step.deaf;
        return;
      case 'come back':
        this.#current[step.who]?.close();
        return this.#sit(step.who);
      case 'ignorant':
        this.#publishers[step.by]!.deaf = step.deaf;
        return;
      case 'newcomer':
        return this.#newcomer(step.who);
      case 'restart':
        this.restarts += 1;
        await this.#redis.kill();
        return this.#redis.start();
    }
  }

  #publish(by: 0 | 1, ids: readonly string[]): void {
    const events = ids.map((id) => liveEvent(id));
    this.#publishing[by] = this.#publishing[by].then(async () => {
      const results = await this.#publishers[by]!.process.publish(...events);
      results.forEach(({ kind }, i) => {
        if (kind !== 'no-interest') this.#taken.push(ids[i]!);
      });
    });
  }

  /** As the live engine does: tries until it is attached. */
  async #sit(who: 0 | 1): Promise<void> {
    for (;;) {
      const witness = new Witness();
      try {
        const { position, close } = await this.#subscribers[who]!.process.channels.subscribe(DEALS, witness);
        this.#current[who] = { witness, from: position, close };
        this.#sittings.push(this.#current[who]);
        return;
      } catch {
        // Redis is away at the moment.
      }
    }
  }

  /** When it has resolved nobody may deny the channel, in the same turn already. */
  async #newcomer(who: 0 | 1): Promise<void> {
    const name = { tenant: `newcomer-${this.#next++}`, type: 'Deal' };
    const attached = await this.#subscribers[who]!.process.channels.subscribe(name, new Witness()).catch(() => null);
    if (attached) expect(this.#publishers.map(({ process }) => process.channels.interested(name))).toEqual([true, true]);
  }

  async check(): Promise<void> {
    await Promise.all(this.#publishing);
    for (const each of [...this.#subscribers, ...this.#publishers]) each.deaf = false;
    const last = liveEvent(`last-${this.#next}`);
    // After a start without data nobody is interested until a subscriber has come back; what passes by until then is in its gap.
    while ((await this.#publishers[0]!.process.publish(last))[0]!.kind === 'no-interest')
      await this.#subscribers[0]!.process.channels.settle();
    this.#taken.push(last.id);
    await Promise.all(this.#current.map((sitting) => sitting!.witness.heard(last.id)));
    const meaning = new Map<string, string>();
    for (const { witness, from } of this.#sittings) this.#checkOne(witness, from, meaning);
    if (this.restarts > 0) return;
    for (const { witness } of this.#current as readonly Sitting[]) {
      const first = this.#taken.indexOf(witness.ids[0]!);
      expect(first).toBeGreaterThanOrEqual(0);
      expect(witness.at?.offset).toBe(new Set(this.#taken).size);
    }
  }

  #checkOne(witness: Witness, from: Sitting['from'], meaning: Map<string, string>): void {
    expect(witness.faults).toEqual([]);
    // A store that has lost its data has lost what it had taken, too: tried again, it comes again, after the gap.
    const events = witness.said.flatMap((entry) =>
      entry.kind === 'event' ? [`${this.restarts === 0 ? '' : entry.at.epoch} ${entry.id}`] : [],
    );
    expect(new Set(events).size).toBe(events.length);
    const [first] = witness.said;
    // What comes first continues the position that subscribe gave.
    if (first?.kind === 'event') expect(first.at).toEqual({ epoch: from.epoch, offset: from.offset + 1 });
    for (const entry of witness.said) {
      if (entry.kind === 'gap') {
        if (this.restarts === 0) expect(entry.missed).toBeGreaterThan(0);
        continue;
      }
      const position = `${entry.at.epoch}:${entry.at.offset}`;
      expect(meaning.get(position) ?? entry.id).toBe(entry.id);
      meaning.set(position, entry.id);
    }
  }

  async close(): Promise<void> {
    for (const { channels } of [...this.#publishers, ...this.#subscribers].map(({ process }) => process)) await channels.close();
  }
}

/** A process whose messages can be lost without anybody noticing. */
async function listening(options: Parameters<typeof RedisProcess.start>[0]): Promise<Listening> {
  const state = { deaf: false };
  const connect: typeof RedisConnection.open = async (...args) => {
    const connection = await RedisConnection.open(...args);
    const subscribe = connection.subscribe.bind(connection);
    connection.subscribe = (channel, onMessage) =>
      subscribe(channel, (text) => (state.deaf && !text.startsWith('a') ? undefined : onMessage(text)));
    return connection;
  };
  const process = await RedisProcess.start(options, { connect });
  return Object.assign(state, { process });
}

describe.skipIf(!available('redis'))('two publishers and two subscribers', () => {
  let redis: RedisService;
  beforeAll(async () => void (redis = await RedisService.start()));
  afterAll(() => redis.stop());

  it.each([
    ['with a long history', 10_000],
    ['with a history of five events', 5],
  ])(
    'hear every event once and in order, or of an exact gap, whatever happens (%s)',
    async (_, maxEvents) => {
      await fc.assert(
        fc.asyncProperty(steps, async (script) => {
          const world = await World.make(redis, maxEvents);
          try {
            for (const step of script) await world.run(step);
            await world.check();
          } finally {
            await world.close();
          }
        }),
        { numRuns: 12, endOnFailure: true },
      );
    },
    120_000,
  );
});
