import type { Identity } from '../access/identity.ts';
import type { Clock } from '../kit/clock.ts';
import { MillraceError, toMillraceError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { Wheel, WheelEntry } from '../kit/wheel.ts';
import { drainReason } from './close-reasons.ts';
import { errorsText } from './error-text.ts';
import { liveErrors } from './errors.ts';
import type { LiveEngine } from './live-engine.ts';
import type { SessionMetrics } from './metrics.ts';
import type { LiveSubscription, SubscriptionOwner } from './member.ts';
import type { OperationContext, OperationOutcome, OperationPipeline } from './operations.ts';
import type { SessionLimits } from './options.ts';
import { Outbox, type OutboxObserver } from './outbox.ts';
import type { GraphqlRequest, Refusal, Session, SessionHello } from './session.ts';
import { nextSessionStep, type SessionInput, type SessionState } from './session-state.ts';
import { closeQuietly, StreamPump } from './stream-pump.ts';
import type { Transport } from './transport.ts';

export type SessionShared = {
  readonly pipeline: OperationPipeline;
  readonly live: LiveEngine;
  readonly limits: SessionLimits;
  readonly clock: Clock;
  readonly wheel: Wheel;
  readonly metrics: SessionMetrics;
  readonly log: Logger;
  /** The session has ended; called once. */
  readonly ended: (session: LiveSession) => void;
};

/** Whatever runs under an operation id: a pipeline at work, a live subscription, a stream. */
interface Operation {
  stop(): void;
}

/** Told once how the start went. */
type OnStart = ((refused: Refusal | null) => void) | undefined;

/** An operation on its way through the pipeline, and what the pipeline may know of it. */
class PipelineCall implements Operation, OperationContext {
  readonly identity: Identity;
  readonly transport: Transport['name'];
  readonly clientName: string | null;
  readonly clientVersion: string | null;
  readonly requestId: string;
  #controller: AbortController | null = null;
  #stopped = false;

  constructor(session: LiveSession, transport: Transport['name'], requestId: string) {
    this.identity = session.identity;
    this.transport = transport;
    this.clientName = session.clientName;
    this.clientVersion = session.clientVersion;
    this.requestId = requestId;
  }

  /** Made when somebody asks: a subscription that is executed by nobody else has no use for it, and it costs more than all the rest. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#stopped) this.#controller.abort();
    return this.#controller.signal;
  }

  stop(): void {
    this.#stopped = true;
    this.#controller?.abort();
  }
}

/** One client that has introduced itself. States and invariants: spec/delivery.md section 9. */
export class LiveSession implements Session, WheelEntry, OutboxObserver, SubscriptionOwner {
  wheelSlot = -1;
  wheelRounds = 0;
  readonly identity: Identity;
  readonly clientName: string | null;
  readonly clientVersion: string | null;
  readonly address: string;
  readonly #shared: SessionShared;
  readonly #transport: Transport;
  readonly #outbox: Outbox;
  readonly #operations = new Map<string, Operation>();
  /** Of the transports that want to hear of the end of each operation. */
  #onEnds: Map<string, () => void> | null = null;
  readonly #name: string;
  readonly #openedAt: number;
  #state: SessionState = 'open';
  #subscriptions = 0;
  #started = 0;
  /** Monotonic ms; null while an operation runs. */
  #idleSince: number | null;
  #congestedSince: number | null = null;

  constructor(shared: SessionShared, identity: Identity, hello: SessionHello, transport: Transport, name: string) {
    this.#shared = shared;
    this.identity = identity;
    // Not the hello itself, which holds the token's text a second time.
    this.clientName = hello.clientName;
    this.clientVersion = hello.clientVersion;
    this.address = hello.address;
    this.#transport = transport;
    this.#name = name;
    this.#outbox = new Outbox(transport, shared.live.limits.outboxBytes, this);
    this.#openedAt = shared.clock.monotonic();
    this.#idleSince = this.#openedAt;
    this.#arm();
  }

  get operations(): number {
    return this.#operations.size;
  }

  get transportName(): Transport['name'] {
    return this.#transport.name;
  }

  has(id: string): boolean {
    return this.#operations.has(id);
  }

  start(id: string, request: GraphqlRequest, onEnd: (() => void) | null = null, onStart?: OnStart): void {
    if (this.#state === 'ended') return;
    this.#started += 1;
    const call = new PipelineCall(this, this.#transport.name, `${this.#name}-${this.#started}`);
    this.#operations.set(id, call);
    if (onEnd) (this.#onEnds ??= new Map()).set(id, onEnd);
    this.#idleSince = null;
    const { operationsPerSession } = this.#shared.limits;
    if (this.#operations.size > operationsPerSession) {
      const error = new MillraceError(liveErrors.OPERATIONS_EXHAUSTED, `the connection runs ${operationsPerSession} operations already`);
      return this.#refuse(id, call, onStart, error);
    }
    void this.#run(id, request, call, onStart);
  }

  stop(id: string): void {
    const operation = this.#operations.get(id);
    if (!operation) return;
    this.#forget(id, operation);
    operation.stop();
  }

  end(): void {
    this.#apply('transport-gone');
  }

  // ---- the clock, the outbox and the host ------------------------------------------------------------------------------------

  /** Ends the session from inside. `retryMs` is the hint of a drain. */
  close(input: Extract<SessionInput, 'revoked' | 'drain'>, retryMs = 0): void {
    this.#apply(input, retryMs);
  }

  onDue(): void {
    const { clock, limits } = this.#shared;
    const now = clock.monotonic();
    if (this.identity.kind === 'user' && this.identity.expiresAt !== null && this.identity.expiresAt <= clock.now())
      this.#apply('token-expired');
    else if (now - this.#openedAt >= limits.maxAgeMs) this.#apply('max-age');
    else if (this.#congestedSince !== null && now - this.#congestedSince >= limits.stuckMs) this.#apply('stuck');
    else if (this.#idleSince !== null && now - this.#idleSince >= limits.idleMs) this.#apply('idle');
    if (this.#state !== 'ended') this.#arm();
  }

  onCongested(): void {
    this.#congestedSince = this.#shared.clock.monotonic();
    this.#apply('over-bound');
    this.#arm();
  }

  onUncongested(): void {
    this.#congestedSince = null;
    this.#apply('drained');
  }

  onUnread(): void {
    this.#apply('stuck');
  }

  #apply(input: SessionInput, retryMs?: number): void {
    const before = this.#state;
    const step = nextSessionStep(before, input);
    this.#state = step.state;
    if (step.state !== 'ended' || before === 'ended') return;
    const operations = [...this.#operations.values()];
    this.#operations.clear();
    this.#onEnds = null;
    // First the operations, so that nothing of theirs follows the closing.
    this.#outbox.close();
    for (const operation of operations) operation.stop();
    this.#shared.wheel.cancel(this);
    this.#shared.ended(this);
    if (!step.close) return;
    this.#shared.metrics.closed.inc({ reason: step.close.label });
    this.#transport.close(input === 'drain' ? drainReason(retryMs ?? 0) : step.close);
  }

  /** One moment for all deadlines. Idleness is looked at when its time may be up, not at every start and end of an operation. */
  #arm(): void {
    const { clock, limits, wheel } = this.#shared;
    const now = clock.monotonic();
    let due = Math.min(this.#openedAt + limits.maxAgeMs, (this.#idleSince ?? now) + limits.idleMs);
    if (this.#congestedSince !== null) due = Math.min(due, this.#congestedSince + limits.stuckMs);
    if (this.identity.kind === 'user' && this.identity.expiresAt !== null) due = Math.min(due, now + this.identity.expiresAt - clock.now());
    wheel.schedule(this, Math.max(0, due - now));
  }

  // ---- operations -----------------------------------------------------------------------------------------------------------

  async #run(id: string, request: GraphqlRequest, call: PipelineCall, onStart: OnStart): Promise<void> {
    let outcome: OperationOutcome;
    try {
      outcome = await this.#shared.pipeline.run(request, call);
    } catch (error) {
      this.#shared.log.error({ err: error }, 'the pipeline rejected, which it must not');
      return this.#refuse(id, call, onStart, toMillraceError(error));
    }
    this.#shared.metrics.operations.inc({ outcome: outcome.kind });
    if (this.#operations.get(id) !== call) return discard(outcome);
    this.#settle(id, request, call, onStart, outcome);
  }

  #settle(id: string, request: GraphqlRequest, call: PipelineCall, onStart: OnStart, outcome: OperationOutcome): void {
    switch (outcome.kind) {
      case 'result':
        onStart?.(null);
        this.#outbox.write(this.#outbox.codec.next(id, Buffer.from(outcome.text), null));
        this.#outbox.write(this.#outbox.codec.complete(id));
        return this.#finish(id, call);
      case 'refused':
        return this.#refuseWith(id, call, onStart, { errors: outcome.errors, status: outcome.status });
      case 'live':
      case 'stream':
        return this.#subscribe(id, request, call, onStart, outcome);
    }
  }

  #subscribe(
    id: string,
    request: GraphqlRequest,
    call: PipelineCall,
    onStart: OnStart,
    outcome: Extract<OperationOutcome, { kind: 'live' | 'stream' }>,
  ): void {
    const { subscriptionsPerSession } = this.#shared.limits;
    if (this.#subscriptions >= subscriptionsPerSession) {
      discard(outcome);
      const error = new MillraceError(
        liveErrors.SUBSCRIPTIONS_EXHAUSTED,
        `the connection has ${subscriptionsPerSession} subscriptions already`,
      );
      return this.#refuse(id, call, onStart, error);
    }
    if (outcome.kind === 'stream') {
      onStart?.(null);
      const pump = new StreamPump(this.#outbox, id, outcome.results, this);
      this.#replace(id, pump);
      void pump.run();
      return;
    }
    this.#subscribeLive(id, request, call, onStart, outcome);
  }

  #subscribeLive(
    id: string,
    request: GraphqlRequest,
    call: PipelineCall,
    onStart: OnStart,
    outcome: Extract<OperationOutcome, { kind: 'live' }>,
  ): void {
    const { operation, plan, variables, lease } = outcome;
    let started = false;
    try {
      const subscription = this.#shared.live.subscribe({
        operation,
        plan,
        variables,
        lease,
        rawVariables: request.variables,
        identity: this.identity,
        outbox: this.#outbox,
        operationId: id,
        lastCursor: request.lastCursor,
        owner: this,
      });
      started = true;
      this.#replace(id, subscription);
      onStart?.(null);
    } catch (error) {
      // What the transport throws from `onStart` is not a refusal.
      if (started) throw error;
      this.#refuse(id, call, onStart, toMillraceError(error));
    }
  }

  #replace(id: string, operation: Operation): void {
    this.#operations.set(id, operation);
    this.#subscriptions += 1;
  }

  #refuse(id: string, operation: Operation, onStart: OnStart, error: MillraceError): void {
    if (error.spec.class === 'internal') this.#shared.log.error({ err: error.cause ?? error }, 'an operation could not be started');
    this.#refuseWith(id, operation, onStart, { errors: errorsText(error), status: error.spec.http });
  }

  #refuseWith(id: string, operation: Operation, onStart: OnStart, refusal: Refusal): void {
    if (this.#operations.get(id) !== operation) return;
    if (onStart) onStart(refusal);
    else this.#outbox.write(this.#outbox.codec.error(id, refusal.errors));
    this.#finish(id, operation);
  }

  subscriptionEnded(id: string, subscription: LiveSubscription): void {
    this.#finish(id, subscription);
  }

  #finish(id: string, operation: Operation): void {
    if (this.#operations.get(id) !== operation) return;
    const onEnd = this.#onEnds?.get(id);
    this.#forget(id, operation);
    onEnd?.();
  }

  #forget(id: string, operation: Operation): void {
    this.#operations.delete(id);
    this.#onEnds?.delete(id);
    if (!(operation instanceof PipelineCall)) this.#subscriptions -= 1;
    if (this.#operations.size === 0) this.#idleSince = this.#shared.clock.monotonic();
  }
}

/** An outcome that came after the client had stopped the operation: what it holds is given back. */
function discard(outcome: OperationOutcome): void {
  if (outcome.kind === 'live') outcome.lease.release();
  else if (outcome.kind === 'stream') void closeQuietly(outcome.results[Symbol.asyncIterator]());
}
