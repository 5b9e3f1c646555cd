import { LiveError } from './errors.ts';
import { type ExecutionResult, type GraphqlError, isObject, type SubscribePayload } from './protocol.ts';

export type LiveEvent<T> = {
  readonly data: T;
  /** Where this event stands. Keep it, and a later `subscribe({ after })` continues behind it; it is valid on any server. */
  readonly cursor: string | null;
  /** Failures of the enriched part: the event itself is whole. */
  readonly errors: readonly GraphqlError[];
};

/** Events may be missing here: read again whatever was built from them. */
export type Gap = {
  readonly reason:
    /** The server says that it cannot prove continuity. */
    | 'server'
    /** The connection was lost and there is no cursor to continue from, or the operation has no variable for it. */
    | 'not-resumable'
    /** The server did not take the cursor (too old a key, another tenant); the subscription started anew. */
    | 'cursor-refused';
  /** Events that are missing, where that is known. */
  readonly missed: number | null;
  readonly cursor: string | null;
};

export type SubscriptionState = 'connecting' | 'live' | 'paused' | 'ended';

export type SubscribeOptions<T> = {
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>>;
  readonly operationName?: string;
  /** Continue behind this cursor. */
  readonly after?: string | null;
  /** The variable of the operation that takes the cursor. Default `after`; the operation must define it: `($after: Cursor)`. */
  readonly cursorVariable?: string;
  /** `T` is the type of the whole `data`. */
  onEvent(event: LiveEvent<T>): void;
  /** Without it, the server's GAP events come to `onEvent` like any other. */
  onGap?(gap: Gap): void;
  /** The subscription has ended with an error. */
  onError?(error: LiveError): void;
  onState?(state: SubscriptionState): void;
  /** The server has completed it. */
  onEnd?(): void;
};

export interface SubscriptionLink {
  /** Sends `subscribe`; false where there is no open connection (it is sent once there is). */
  start(subscription: AnySubscription, payload: SubscribePayload): boolean;
  /** Sends `complete`; nothing comes for this id any more. */
  stop(id: string): void;
  forget(subscription: AnySubscription): void;
  nextId(): string;
}

/** What the client keeps of a subscription, whatever its data. */
export interface AnySubscription {
  readonly id: string;
  connected(): void;
  disconnected(): void;
  receive(result: ExecutionResult): void;
  refuse(errors: readonly GraphqlError[]): void;
  complete(): void;
  fail(error: LiveError): void;
}

export class Subscription<T> implements AnySubscription {
  readonly #options: SubscribeOptions<T>;
  readonly #link: SubscriptionLink;
  readonly #variable: string;
  readonly #takesCursor: boolean;
  #id: string;
  #cursor: string | null;
  #state: SubscriptionState = 'connecting';
  /** Whether the server has ever been asked: from then on, a new start must continue, or own up to a gap. */
  #started = false;

  constructor(options: SubscribeOptions<T>, link: SubscriptionLink) {
    this.#options = options;
    this.#link = link;
    this.#variable = options.cursorVariable ?? 'after';
    this.#takesCursor = new RegExp(`\\$${escapeRegExp(this.#variable)}\\s*:`).test(options.query);
    const given = options.variables?.[this.#variable];
    this.#cursor = options.after ?? (typeof given === 'string' ? given : null);
    this.#id = link.nextId();
  }

  get id(): string {
    return this.#id;
  }

  /** The cursor of the last event received. */
  get cursor(): string | null {
    return this.#cursor;
  }

  get state(): SubscriptionState {
    return this.#state;
  }

  connected(): void {
    if (this.#state !== 'connecting') return;
    const resuming = this.#started;
    this.#started = this.#link.start(this, this.#payload());
    if (!this.#started) return;
    if (resuming && (this.#cursor === null || !this.#takesCursor)) this.#gap({ reason: 'not-resumable', missed: null, cursor: null });
    this.#become('live');
  }

  disconnected(): void {
    if (this.#state === 'live') this.#become('connecting');
  }

  receive(result: ExecutionResult): void {
    if (this.#state !== 'live') return;
    const event = rootEvent(result);
    const cursor = result.extensions?.['cursor'] ?? event?.['cursor'];
    if (typeof cursor === 'string') this.#cursor = cursor;
    if (event?.['action'] === 'GAP' && this.#options.onGap) {
      const missed = event['missed'];
      return this.#gap({ reason: 'server', missed: typeof missed === 'number' ? missed : null, cursor: this.#cursor });
    }
    this.#options.onEvent({
      data: (result.data ?? null) as T,
      cursor: typeof cursor === 'string' ? cursor : null,
      errors: result.errors ?? [],
    });
  }

  refuse(errors: readonly GraphqlError[]): void {
    if (this.#cursor !== null && errors.some(isAboutCursor)) {
      this.#cursor = null;
      // The gap is told here; the new start is a first one.
      this.#started = false;
      this.#gap({ reason: 'cursor-refused', missed: null, cursor: null });
      return this.#restart();
    }
    this.fail(new LiveError('OPERATION_REFUSED', errors[0]?.message ?? 'the operation was refused', { graphqlErrors: errors }));
  }

  complete(): void {
    if (this.#end()) this.#options.onEnd?.();
  }

  fail(error: LiveError): void {
    if (this.#end()) this.#options.onError?.(error);
  }

  /** Nothing more is received until `resume`, which continues behind the last event received. */
  pause(): void {
    if (this.#state === 'ended' || this.#state === 'paused') return;
    this.#link.stop(this.#id);
    this.#become('paused');
  }

  resume(): void {
    if (this.#state === 'paused') this.#restart();
  }

  unsubscribe(): void {
    if (this.#state === 'live') this.#link.stop(this.#id);
    this.#end();
  }

  #restart(): void {
    // A new id: frames of the old one may still be on their way.
    const old = this.#id;
    this.#id = this.#link.nextId();
    this.#link.stop(old);
    this.#become('connecting');
    this.connected();
  }

  #payload(): SubscribePayload {
    const variables = { ...this.#options.variables };
    if (this.#takesCursor && this.#cursor !== null) variables[this.#variable] = this.#cursor;
    else if (this.#takesCursor) delete variables[this.#variable];
    return { query: this.#options.query, operationName: this.#options.operationName, variables };
  }

  #gap(gap: Gap): void {
    this.#options.onGap?.(gap);
  }

  #end(): boolean {
    if (this.#state === 'ended') return false;
    this.#become('ended');
    this.#link.forget(this);
    return true;
  }

  #become(state: SubscriptionState): void {
    this.#state = state;
    this.#options.onState?.(state);
  }
}

/** The one root field's value: a subscription has exactly one. */
function rootEvent(result: ExecutionResult): Readonly<Record<string, unknown>> | null {
  const [value] = result.data ? Object.values(result.data) : [];
  return isObject(value) ? value : null;
}

function isAboutCursor(error: GraphqlError): boolean {
  const code = error.extensions?.['code'];
  return typeof code === 'string' && code.startsWith('CURSOR');
}

function escapeRegExp(text: string): string {
  return text.replace(/[^A-Za-z0-9_]/g, '\\$&');
}
