import type { Authenticator, Identity } from '../access/identity.ts';
import type { Clock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { Metrics } from '../kit/metrics.ts';
import { type Random, systemRandom } from '../kit/random.ts';
import { Wheel } from '../kit/wheel.ts';
import { liveErrors } from './errors.ts';
import { KeyCounts } from './key-counts.ts';
import type { LiveEngine } from './live-engine.ts';
import { LiveSession, type SessionShared } from './live-session.ts';
import { createSessionMetrics, type SessionMetrics } from './metrics.ts';
import type { OperationPipeline } from './operations.ts';
import { SESSION_LIMITS, type SessionLimits } from './options.ts';
import type { Session, SessionHello, SessionHost } from './session.ts';
import type { Transport } from './transport.ts';

export type SessionHostOptions = {
  readonly authenticator: Authenticator;
  readonly pipeline: OperationPipeline;
  readonly live: LiveEngine;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Missing ones: `SESSION_LIMITS`. */
  readonly limits?: Partial<SessionLimits>;
  /** For request ids and retry hints. */
  readonly random?: Random;
};

export interface LiveSessionHost extends SessionHost {
  readonly sessions: number;
  /**
   * Refuses new sessions and closes the open ones at moments spread over the window, each with its own retry hint. Resolves when the
   * last has been closed; a second call gives the same promise.
   */
  drain(windowMs?: number): Promise<void>;
  /** Closes the sessions whose identity `revoked` names; returns how many. */
  revoke(revoked: (identity: Identity) => boolean): number;
  /** Closes everything at once, for the end of the process. */
  close(): void;
}

export function createSessionHost(options: SessionHostOptions): LiveSessionHost {
  return new Host(options);
}

/** Sessions are closed in steps of so many ms while draining. */
const DRAIN_STEP_MS = 100;

class Host implements LiveSessionHost {
  readonly #options: SessionHostOptions;
  readonly #limits: SessionLimits;
  readonly #random: Random;
  readonly #metrics: SessionMetrics;
  readonly #shared: SessionShared;
  readonly #sessions = new Set<LiveSession>();
  readonly #addresses = new KeyCounts();
  #draining: Promise<void> | null = null;
  /** Being authenticated: they count, or a burst would pass the limit before the first of it is in. */
  #opening = 0;

  constructor(options: SessionHostOptions) {
    this.#options = options;
    this.#limits = { ...SESSION_LIMITS, ...options.limits };
    this.#random = options.random ?? systemRandom;
    this.#metrics = createSessionMetrics(options.metrics, () => this.#sessions.size);
    const { pipeline, live, clock, log } = options;
    this.#shared = {
      pipeline,
      live,
      clock,
      log,
      limits: this.#limits,
      metrics: this.#metrics,
      wheel: new Wheel(clock),
      ended: (session) => this.#ended(session),
    };
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  accepting(): boolean {
    return this.#draining === null && this.#sessions.size + this.#opening < this.#limits.sessions;
  }

  async open(hello: SessionHello, transport: Transport): Promise<Session> {
    try {
      this.#checkRoom(hello);
      this.#opening += 1;
      let identity: Identity;
      try {
        identity = await this.#options.authenticator.authenticate(hello.authorization);
      } finally {
        this.#opening -= 1;
      }
      // Again: others have come in meanwhile, and it may have begun to drain.
      this.#checkRoom(hello);
      this.#checkTenant(identity);
      return this.#admit(identity, hello, transport);
    } catch (error) {
      this.#metrics.refused.inc({ code: error instanceof MillraceError ? error.code : 'INTERNAL' });
      throw error;
    }
  }

  drain(windowMs = this.#limits.drainWindowMs): Promise<void> {
    return (this.#draining ??= new Promise((resolve) => this.#drainStep([...this.#sessions], windowMs, windowMs, resolve)));
  }

  revoke(revoked: (identity: Identity) => boolean): number {
    let count = 0;
    for (const session of [...this.#sessions]) {
      if (!revoked(session.identity)) continue;
      session.close('revoked');
      count += 1;
    }
    return count;
  }

  close(): void {
    this.#draining ??= Promise.resolve();
    for (const session of [...this.#sessions]) session.close('drain');
    this.#shared.wheel.close();
  }

  #checkRoom(hello: SessionHello): void {
    if (!this.accepting()) {
      const why = this.#draining ? 'the server is draining' : `the server has ${this.#limits.sessions} connections, which is its limit`;
      throw new MillraceError(liveErrors.SESSIONS_EXHAUSTED, `${why}; try again later`);
    }
    if (this.#addresses.of(hello.address) >= this.#limits.sessionsPerAddress) {
      throw new MillraceError(
        liveErrors.ADDRESS_SESSIONS_EXHAUSTED,
        `your address has ${this.#limits.sessionsPerAddress} connections already`,
      );
    }
  }

  #checkTenant(identity: Identity): void {
    if (this.#options.live.sessions.of(tenantKey(identity)) >= this.#limits.sessionsPerTenant) {
      throw new MillraceError(liveErrors.TENANT_SESSIONS_EXHAUSTED, `the tenant has ${this.#limits.sessionsPerTenant} connections already`);
    }
  }

  #admit(identity: Identity, hello: SessionHello, transport: Transport): Session {
    const session = new LiveSession(this.#shared, identity, hello, transport, this.#random.hex(6));
    this.#sessions.add(session);
    this.#addresses.add(hello.address);
    this.#options.live.sessions.add(tenantKey(identity));
    this.#metrics.opened.inc({ transport: transport.name });
    return session;
  }

  #ended(session: LiveSession): void {
    if (!this.#sessions.delete(session)) return;
    this.#addresses.remove(session.address);
    this.#options.live.sessions.remove(tenantKey(session.identity));
  }

  /** Closes the share of `left` that falls into this step. Sessions that ended by themselves are done already. */
  #drainStep(left: LiveSession[], remainingMs: number, windowMs: number, done: () => void): void {
    const steps = Math.max(1, Math.ceil(remainingMs / DRAIN_STEP_MS));
    for (const session of left.splice(0, Math.ceil(left.length / steps))) session.close('drain', this.#random.next() * windowMs);
    if (left.length === 0) return done();
    this.#options.clock.after(DRAIN_STEP_MS, () => this.#drainStep(left, remainingMs - DRAIN_STEP_MS, windowMs, done));
  }
}

/** Anonymous sessions without a tenant share one count. */
function tenantKey(identity: Identity): string {
  return identity.tenant ?? '';
}
