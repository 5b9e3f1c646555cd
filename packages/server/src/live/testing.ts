import type { Identity } from '../access/identity.ts';
import type {
  ChannelEvent,
  ChannelListener,
  ChannelName,
  Channels,
  ChannelSubscription,
  HistorySlice,
  Position,
  PublishResult,
} from '../channels/channels.ts';
import type { LiveEvent } from '../events/live-event.ts';
import type { CarriedField, LiveType } from '../events/live-type.ts';
import { dealType as plainDealType } from '../events/testing/deal-type.ts';
import type { JsonObject } from '../kit/json.ts';
import type {
  Generation,
  GenerationLease,
  Generations,
  LiveSource,
  OperationCall,
  Prepared,
  PreparedOperation,
} from '../supergraph/generation.ts';
import { createCursors } from './cursors.ts';
import type { LivePlan } from './group.ts';
import type { CloseReason, FrameCodec, Transport } from './transport.ts';

/** Stand-ins for the rooms around `live`, for its tests: small enough to be seen to be right. */

export const testCursors = createCursors({ keys: [{ id: 1, secret: Buffer.alloc(32, 7) }] });

export function carried(field: string, scalar: CarriedField['scalar'], over: Partial<CarriedField> = {}): CarriedField {
  return { field, path: [field], type: scalar, scalar, list: false, nonNull: false, filterable: true, ...over };
}

export function dealType(over: Partial<LiveType> = {}): LiveType {
  return plainDealType({
    visibility: 'EVENT',
    carried: [
      carried('title', 'String'),
      carried('stageId', 'ID', { path: ['stage_id'] }),
      carried('value', 'Float'),
      carried('count', 'Int'),
      carried('won', 'Boolean'),
      carried('state', 'Enum'),
      carried('closeAt', 'DateTime'),
      carried('extra', 'Other'),
      carried('tags', 'String', { list: true }),
    ],
    ...over,
  });
}

let serial = 0;

export function liveEvent(over: Partial<LiveEvent> = {}): LiveEvent {
  serial += 1;
  const entity = over.entity ?? { id: over.key ?? 'd1' };
  return {
    id: `e${serial}`,
    tenant: 'acme',
    type: 'Deal',
    key: 'd1',
    action: 'CHANGED',
    version: null,
    at: '2026-11-23T12:00:00Z',
    entity,
    before: null,
    raw: JSON.stringify(entity),
    delta: null,
    audience: { kind: 'tenant' },
    bytes: 100,
    traceparent: null,
    receivedAt: 0,
    ...over,
  };
}

export function userIdentity(tenant: string, user: string, over: Partial<Extract<Identity, { kind: 'user' }>> = {}): Identity {
  return {
    kind: 'user',
    tenant,
    user,
    roles: [],
    groups: [],
    scopes: [],
    expiresAt: null,
    issuer: 'test',
    tokenId: null,
    token: `token-${user}`,
    ...over,
  };
}

// ---- channels ---------------------------------------------------------------------------------------------------------------

/** A channel store in memory whose history can be cut, whose epoch can be changed, and whose answers can be held back. */
export class SimChannels implements Channels {
  readonly listeners = new Map<string, Set<ChannelListener>>();
  readonly #logs = new Map<string, { epoch: string; offset: number; events: ChannelEvent[] }>();
  attached = 0;
  historyCalls = 0;
  /** Awaited by every `subscribe` and `history`. */
  hold: () => Promise<void> = () => Promise.resolve();
  failSubscribe: Error | null = null;
  failHistory = 0;

  interested(): boolean {
    return true;
  }

  async publish(events: readonly LiveEvent[]): Promise<readonly PublishResult[]> {
    return events.map((event) => ({ kind: 'published', position: this.emit(event) }));
  }

  /** Publishes in this very turn. */
  emit(event: LiveEvent): Position {
    const log = this.#log(event);
    log.offset += 1;
    const entry: ChannelEvent = { event, position: { epoch: log.epoch, offset: log.offset } };
    log.events.push(entry);
    for (const listener of this.listeners.get(keyOf(event)) ?? []) listener.onEvents([entry]);
    return entry.position;
  }

  /** Forgets all but the last `keep` events. */
  evict(channel: ChannelName, keep: number): void {
    const log = this.#log(channel);
    log.events = keep === 0 ? [] : log.events.slice(-keep);
  }

  /** The store lost everything, `lost` events of which nobody has seen. */
  newEpoch(channel: ChannelName, epoch: string): void {
    const log = this.#log(channel);
    Object.assign(log, { epoch, offset: 0, events: [] });
    for (const listener of this.listeners.get(keyOf(channel)) ?? []) listener.onGap({ top: { epoch, offset: 0 }, missed: null });
  }

  async subscribe(channel: ChannelName, listener: ChannelListener): Promise<ChannelSubscription> {
    await this.hold();
    if (this.failSubscribe) throw this.failSubscribe;
    const log = this.#log(channel);
    const set = this.listeners.get(keyOf(channel)) ?? new Set();
    this.listeners.set(keyOf(channel), set.add(listener));
    this.attached += 1;
    const close = (): void => void (set.delete(listener) && (this.attached -= 1));
    return { position: { epoch: log.epoch, offset: log.offset }, close };
  }

  async history(channel: ChannelName, after: Position, limit: number): Promise<HistorySlice> {
    this.historyCalls += 1;
    await this.hold();
    if (this.failHistory > 0) {
      this.failHistory -= 1;
      throw new Error('store away');
    }
    const log = this.#log(channel);
    const top = { epoch: log.epoch, offset: log.offset };
    const foreign = after.epoch !== log.epoch;
    const events = log.events.filter((entry) => foreign || entry.position.offset > after.offset);
    const first = events[0]?.position.offset ?? log.offset + 1;
    const gap = foreign ? { missed: null } : first > after.offset + 1 ? { missed: first - after.offset - 1 } : null;
    return { events: events.slice(0, limit), top, gap };
  }

  async close(): Promise<void> {}

  #log(channel: { tenant: string; type: string }) {
    let log = this.#logs.get(keyOf(channel));
    if (!log) this.#logs.set(keyOf(channel), (log = { epoch: 'epoch-1', offset: 0, events: [] }));
    return log;
  }
}

function keyOf({ tenant, type }: { tenant: string; type: string }): string {
  return JSON.stringify([type, tenant]);
}

// ---- generations ------------------------------------------------------------------------------------------------------------

export type FakeOperation = {
  readonly document?: string;
  readonly field?: string;
  readonly type?: LiveType;
  /** Null: the event alone answers. */
  readonly enrich?: ((source: LiveSource, call: OperationCall) => Promise<string>) | null;
};

export const DOCUMENT =
  'subscription ($after: Cursor, $filter: DealFilter, $ids: [ID!], $actions: [LiveAction!]) { ' +
  'dealEvent(after: $after, filter: $filter, ids: $ids, actions: $actions) { cursor action id missed } }';

export function fakeOperation(fake: FakeOperation = {}): PreparedOperation & { readonly subscription: LivePlan } {
  const { document = DOCUMENT, field = 'dealEvent', type = dealType(), enrich = null } = fake;
  const plan: LivePlan = {
    kind: 'live',
    liveType: type,
    field,
    responseKey: field,
    arguments: (variables) => variables,
    enriches: () => enrich !== null,
    complete: (source) => ({ text: textOf(field, source, null), errors: 0 }),
    enrich: async (source, call) => ({ text: textOf(field, source, enrich === null ? null : await enrich(source, call)), errors: 0 }),
  };
  return {
    type: 'subscription',
    name: null,
    normalised: document,
    coerceVariables: (raw) => ({ values: raw }),
    execute: () => Promise.resolve({ data: null }),
    subscription: plan,
  };
}

function textOf(field: string, source: LiveSource, enriched: string | null): string {
  const { cursor, action, id, missed, raw } = source;
  return JSON.stringify({ data: { [field]: { cursor, action, id, missed, raw, enriched } } }).slice(0, -1);
}

export class FakeGenerations implements Generations {
  leases = 0;
  current: Generation;
  #swap: ((next: Generation, previous: Generation | null) => void) | null = null;

  constructor(operations: readonly PreparedOperation[] = [fakeOperation()]) {
    this.current = fakeGeneration(1, operations);
  }

  lease(): GenerationLease {
    this.leases += 1;
    let held = true;
    const release = (): void => {
      if (!held) throw new Error('a lease was released twice');
      held = false;
      this.leases -= 1;
    };
    return { generation: this.current, release };
  }

  onSwap(listener: (next: Generation, previous: Generation | null) => void): () => void {
    this.#swap = listener;
    return () => void (this.#swap = null);
  }

  swap(
    operations: readonly PreparedOperation[],
    wrap: (prepare: Generation['prepare']) => Generation['prepare'] = (prepare) => prepare,
  ): void {
    const previous = this.current;
    const next = fakeGeneration(previous.number + 1, operations);
    this.current = { ...next, prepare: wrap(next.prepare.bind(next)) };
    this.#swap?.(this.current, previous);
  }

  async close(): Promise<void> {}
}

function fakeGeneration(number: number, operations: readonly PreparedOperation[]): Generation {
  const prepare = async ({ query }: { query: string }): Promise<Prepared> => {
    const operation = operations.find((one) => one.normalised === query);
    return operation ? { kind: 'operation', operation } : { kind: 'invalid', phase: 'validate', errors: [] };
  };
  // No test of this room looks at the schema.
  return { number, digest: `g${number}`, schema: undefined as never, liveTypes: [], prepare };
}

// ---- connections ------------------------------------------------------------------------------------------------------------

export const testCodec: FrameCodec = {
  kind: 'ws',
  next: (id, payload) => Buffer.concat([Buffer.from(`{"id":${JSON.stringify(id)},"next":`), payload, Buffer.from('}')]),
  error: (id, errors) => Buffer.from(`{"id":${JSON.stringify(id)},"errors":${errors}}`),
  complete: (id) => Buffer.from(`{"id":${JSON.stringify(id)},"complete":true}`),
};

export type Delivered = {
  cursor: string;
  action: string;
  id: string | null;
  missed: number | null;
  raw: string | null;
  enriched: string | null;
};

/** A connection that keeps its frames. While `slow`, bytes stay in it until `drain`. */
export class FakeTransport implements Transport {
  readonly name = 'ws';
  readonly codec = testCodec;
  readonly frames: Buffer[] = [];
  readonly closed: CloseReason[] = [];
  slow = false;
  #buffered = 0;
  highWater = 0;
  #listener: (() => void) | null = null;
  onWrite: (() => void) | null = null;

  write(frame: Buffer): void {
    this.frames.push(frame);
    if (this.slow) this.#buffered += frame.length;
    this.highWater = Math.max(this.highWater, this.#buffered);
    this.onWrite?.();
  }

  bufferedBytes(): number {
    return this.#buffered;
  }

  onDrain(listener: () => void): void {
    if (this.#listener) throw new Error('one drain listener at a time');
    this.#listener = listener;
  }

  drain(): void {
    this.#buffered = 0;
    const listener = this.#listener;
    this.#listener = null;
    listener?.();
  }

  close(reason: CloseReason): void {
    this.closed.push(reason);
  }

  messages(id?: string): {
    id: string;
    next?: { data: Record<string, Delivered>; extensions: { cursor: string } };
    errors?: { message: string; extensions: { code: string } }[];
    complete?: boolean;
  }[] {
    const all = this.frames.map((frame) => JSON.parse(frame.toString()) as ReturnType<FakeTransport['messages']>[number]);
    return id === undefined ? all : all.filter((message) => message.id === id);
  }

  delivered(id?: string): Delivered[] {
    return this.messages(id).flatMap(({ next }) => (next ? Object.values(next.data) : []));
  }
}

/** Turns of the event loop until `done`. Fails loudly instead of hanging. */
export async function until(done: () => boolean, what = 'the expected state'): Promise<void> {
  for (let turn = 0; turn < 10_000; turn += 1) {
    if (done()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`did not reach ${what}`);
}

export const noVariables: JsonObject = {};
