import { drainReason } from '../live/close-reasons.ts';
import type { CloseReason } from '../live/transport.ts';
import type { Clock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import type { Random } from '../kit/random.ts';
import { transportsErrors } from './errors.ts';
import type { TransportsMetrics } from './metrics.ts';

/** Bounds on what clients can make this process hold. spec/protocol.md section 3.5. */
export type ConnectionLimits = {
  readonly maxConnections: number;
  readonly maxPerAddress: number;
  /** Of one address, connections that are not acknowledged yet. */
  readonly maxUnauthenticatedPerAddress: number;
};

export const CONNECTION_LIMITS: ConnectionLimits = {
  maxConnections: 100_000,
  maxPerAddress: 20_000,
  maxUnauthenticatedPerAddress: 2_000,
};

export type Protocol = 'ws' | 'sse';

/** What the registry holds of a connection. */
export interface Connection {
  close(reason: CloseReason): void;
}

/** The place of one connection. `release` frees it, exactly once however often it is called. */
export interface ConnectionSlot {
  /** The connection introduced itself and was let in. Idempotent. */
  authenticated(): void;
  release(label: string): void;
}

type AddressCount = { total: number; unauthenticated: number };

/** Every open connection of every transport: counted, limited, and closed together when the process drains. */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #metrics: TransportsMetrics;
  readonly #open = new Map<Connection, Slot>();
  readonly #addresses = new Map<string, AddressCount>();
  #draining = false;
  #onEmpty: (() => void) | null = null;

  constructor(metrics: TransportsMetrics, limits: ConnectionLimits = CONNECTION_LIMITS) {
    this.#metrics = metrics;
    this.#limits = limits;
  }

  get size(): number {
    return this.#open.size;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Why one more connection from this address is refused, or null. Asked before any work is done for it. */
  refusal(address: string): MillraceError | null {
    if (this.#draining) return new MillraceError(transportsErrors.CONNECTION_LIMIT, 'the server is draining');
    if (this.#open.size >= this.#limits.maxConnections) {
      return new MillraceError(transportsErrors.CONNECTION_LIMIT, `the server holds ${this.#limits.maxConnections} connections, its limit`);
    }
    const count = this.#addresses.get(address);
    if (count && count.total >= this.#limits.maxPerAddress) {
      return new MillraceError(transportsErrors.ADDRESS_LIMIT, `${count.total} connections from this address, the limit`);
    }
    if (count && count.unauthenticated >= this.#limits.maxUnauthenticatedPerAddress) {
      return new MillraceError(
        transportsErrors.ADDRESS_LIMIT,
        `${count.unauthenticated} connections from this address have not introduced themselves`,
      );
    }
    return null;
  }

  add(connection: Connection, protocol: Protocol, address: string): ConnectionSlot {
    let count = this.#addresses.get(address);
    if (!count) this.#addresses.set(address, (count = { total: 0, unauthenticated: 0 }));
    count.total++;
    count.unauthenticated++;
    this.#metrics.opened.inc({ protocol });
    this.#metrics.open.inc({ protocol });
    this.#metrics.unauthenticated.inc();
    const slot = new Slot(this, connection, protocol, address);
    this.#open.set(connection, slot);
    return slot;
  }

  /** For `Slot` only. */
  settle(slot: Slot): void {
    const count = this.#addresses.get(slot.address);
    if (count) count.unauthenticated--;
    this.#metrics.unauthenticated.dec();
  }

  /** For `Slot` only. */
  remove(slot: Slot, label: string): void {
    this.#open.delete(slot.connection);
    const count = this.#addresses.get(slot.address);
    if (count && --count.total === 0) this.#addresses.delete(slot.address);
    this.#metrics.open.dec({ protocol: slot.protocol });
    this.#metrics.closed.inc({ protocol: slot.protocol, reason: label });
    if (this.#open.size === 0) this.#onEmpty?.();
  }

  /**
   * Refuses new connections from now on and closes the present ones spread evenly over `windowMs`, each with a hint to come back after a
   * random part of the window. Resolves when all are gone, or `graceMs` after the last was asked to close.
   */
  async drain(clock: Clock, random: Random, options: { readonly windowMs: number; readonly graceMs: number }): Promise<void> {
    this.#draining = true;
    const present = [...this.#open.keys()];
    const steps = Math.max(1, Math.min(50, Math.ceil(options.windowMs / 100)));
    const batch = Math.ceil(present.length / steps);
    for (let from = 0; from < present.length; from += batch) {
      if (from > 0) await delay(clock, options.windowMs / steps);
      for (const connection of present.slice(from, from + batch)) connection.close(drainReason(500 + random.next() * options.windowMs));
    }
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = clock.after(options.graceMs, resolve);
      this.#onEmpty = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

function delay(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

class Slot implements ConnectionSlot {
  readonly connection: Connection;
  readonly protocol: Protocol;
  readonly address: string;
  readonly #registry: Connections;
  #state: 'new' | 'authenticated' | 'gone' = 'new';

  constructor(registry: Connections, connection: Connection, protocol: Protocol, address: string) {
    this.#registry = registry;
    this.connection = connection;
    this.protocol = protocol;
    this.address = address;
  }

  authenticated(): void {
    if (this.#state !== 'new') return;
    this.#state = 'authenticated';
    this.#registry.settle(this);
  }

  release(label: string): void {
    if (this.#state === 'gone') return;
    if (this.#state === 'new') this.#registry.settle(this);
    this.#state = 'gone';
    this.#registry.remove(this, label);
  }
}
