import { createClient, ErrorReply } from '@redis/client';
import type { Clock, Timer } from '../kit/clock.ts';
import { MillraceError, reasonOf } from '../kit/errors.ts';
import { channelsErrors } from './errors.ts';
import type { RedisMetrics } from './metrics.ts';
import type { RedisAddress, RedisLogin, RedisTls } from './redis-options.ts';

export type Reply = string | number | null | readonly Reply[];

export type ConnectionOptions = {
  readonly login: RedisLogin;
  readonly tls: RedisTls | null;
  readonly commandTimeoutMs: number;
  readonly maxQueuedCommands: number;
  readonly maxQueuedBytes: number;
};

export type ConnectionUse = 'commands' | 'subscriptions' | 'topology';

export type ConnectionDeps = { readonly clock: Clock; readonly metrics: RedisMetrics };

type Client = ReturnType<typeof clientFor>;

/**
 * One connection to one server, without a mind of its own: it never reconnects, resends or subscribes again, since only who uses it
 * knows what has become of a command in between. Bounded: commands and bytes that wait for an answer (CHANNELS_OVERLOADED), and the
 * time without any answer while some wait (the connection ends). Every command that was sent and not answered rejects at the end.
 */
export class RedisConnection {
  readonly address: RedisAddress;
  readonly #client: Client;
  readonly #options: ConnectionOptions;
  readonly #deps: ConnectionDeps;
  readonly #use: ConnectionUse;
  readonly #onEnd: (reason: string) => void;
  #queued = 0;
  #queuedBytes = 0;
  #answeredAt = 0;
  #timer: Timer | null = null;
  #ended = false;

  private constructor(
    client: Client,
    address: RedisAddress,
    use: ConnectionUse,
    options: ConnectionOptions,
    deps: ConnectionDeps,
    onEnd: (reason: string) => void,
  ) {
    this.#client = client;
    this.address = address;
    this.#use = use;
    this.#options = options;
    this.#deps = deps;
    this.#onEnd = onEnd;
    deps.metrics.connections.inc({ use });
    client.on('error', (error: unknown) => this.#end(reasonOf(error), true));
    client.on('end', () => this.#end('closed', true));
  }

  /** Rejects with the reason, CHANNELS_STORE_REFUSED where the server wants nothing of us. `onEnd` is called once, unless `close` was. */
  static async open(
    address: RedisAddress,
    use: ConnectionUse,
    options: ConnectionOptions,
    deps: ConnectionDeps,
    onEnd: (reason: string) => void,
  ): Promise<RedisConnection> {
    const client = clientFor(address, options);
    // A client without a listener for errors would end the process. The reason comes with the rejection.
    client.on('error', () => {});
    // A server that hangs accepts the connection and never answers the greeting.
    const deadline = deps.clock.after(options.commandTimeoutMs, () => client.destroy());
    try {
      await client.connect();
    } catch (error) {
      // Not as an answer of the server's to a command: whatever it was, no command was run.
      throw refusal(error) ?? new Error(reasonOf(error), { cause: error });
    } finally {
      deadline.cancel();
    }
    return new RedisConnection(client, address, use, options, deps, onEnd);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Synchronous up to the socket: commands leave in the order of the calls. */
  send(command: readonly string[]): Promise<Reply> {
    let bytes = 0;
    for (const word of command) bytes += word.length;
    return this.#await(bytes, () => this.#client.sendCommand<Reply>(command));
  }

  subscribe(channel: string, onMessage: (text: string) => void): Promise<void> {
    return this.#await(channel.length, () => this.#client.sSubscribe(channel, onMessage));
  }

  async #await<T>(bytes: number, ask: () => Promise<T>): Promise<T> {
    const { metrics, clock } = this.#deps;
    const { maxQueuedCommands, maxQueuedBytes } = this.#options;
    if (this.#ended) throw new Error('the connection is closed');
    // One alone may be larger than the bound: it would never be sent otherwise.
    if (this.#queued >= maxQueuedCommands || (this.#queued > 0 && this.#queuedBytes + bytes > maxQueuedBytes)) {
      metrics.overloaded.inc();
      throw new MillraceError(channelsErrors.CHANNELS_OVERLOADED, `${this.#queued} commands wait for Redis's answer`);
    }
    if (this.#queued === 0) this.#watch(clock.monotonic());
    this.#count(1, bytes);
    try {
      return await ask();
    } finally {
      this.#answeredAt = clock.monotonic();
      this.#count(-1, -bytes);
    }
  }

  async unsubscribe(channel: string): Promise<void> {
    await this.#client.sUnsubscribe(channel);
  }

  /** The server has ended the subscription by itself: its slot has moved. */
  onMoved(run: (channel: string) => void): void {
    this.#client.on('sharded-channel-moved', (channel: unknown) => run(String(channel)));
  }

  close(): void {
    this.#end('closed', false);
  }

  #count(commands: number, bytes: number): void {
    this.#queued += commands;
    this.#queuedBytes += bytes;
    this.#deps.metrics.queued.inc(commands);
    this.#deps.metrics.queuedBytes.inc(bytes);
  }

  /** A server that hangs keeps its connections. */
  #watch(since: number): void {
    this.#answeredAt = since;
    if (this.#timer) return;
    const { commandTimeoutMs } = this.#options;
    this.#timer = this.#deps.clock.after(commandTimeoutMs, () => {
      this.#timer = null;
      if (this.#queued === 0) return;
      if (this.#deps.clock.monotonic() - this.#answeredAt >= commandTimeoutMs) this.#end(`no answer for ${commandTimeoutMs} ms`, true);
      else this.#watch(this.#answeredAt);
    });
  }

  #end(reason: string, unasked: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    const { metrics } = this.#deps;
    metrics.connections.dec({ use: this.#use });
    if (unasked) metrics.connectionLosses.inc({ use: this.#use });
    if (this.#client.isOpen) this.#client.destroy();
    if (unasked) this.#onEnd(reason);
  }
}

function clientFor({ host, port }: RedisAddress, { login, tls, commandTimeoutMs }: ConnectionOptions) {
  const socket = { host, port, reconnectStrategy: false as const, connectTimeout: commandTimeoutMs, noDelay: true };
  const secure = tls && {
    ...socket,
    tls: true as const,
    ...(tls.ca === null ? {} : { ca: tls.ca }),
    ...(tls.client === null ? {} : { cert: tls.client.cert, key: tls.client.key }),
  };
  return createClient({
    RESP: 3,
    disableOfflineQueue: true,
    // One right less that the user must have.
    disableClientInfo: true,
    ...(login.username === null ? {} : { username: login.username }),
    ...(login.password === null ? {} : { password: login.password }),
    socket: secure ?? socket,
  });
}

/** The first word of an error that Redis answered with; null where it was no answer. */
export function replyError(error: unknown): { readonly word: string; readonly message: string } | null {
  if (!(error instanceof ErrorReply)) return null;
  // A script's errors come with the place in the script behind them.
  return { word: error.message.split(' ', 1)[0] ?? '', message: error.message };
}

const REFUSALS = new Set(['WRONGPASS', 'NOAUTH', 'NOPERM', 'NOPROTO']);

/** Where another try cannot help. Redis's own words name user, command or key, never the password. */
export function refusal(error: unknown): MillraceError | null {
  const reply = replyError(error);
  if (!reply) return null;
  const { word, message } = reply;
  const tooOld = /unknown (redis )?command/i.test(message);
  if (
    !REFUSALS.has(word) &&
    !tooOld &&
    !/NOPERM|without any password|invalid username|can't (run this command|access at least one)/i.test(message)
  )
    return null;
  return new MillraceError(channelsErrors.CHANNELS_STORE_REFUSED, `Redis refuses: ${message.slice(0, 300)}`, {}, error);
}
