import type { Duplex } from 'node:stream';
import { closeReasons } from '../live/close-reasons.ts';
import type { Session, SessionHost } from '../live/session.ts';
import type { CloseReason, FrameCodec, Transport } from '../live/transport.ts';
import { toMillraceError } from '../kit/errors.ts';
import type { JsonObject } from '../kit/json.ts';
import type { Logger } from '../kit/log.ts';
import type { Wheel, WheelEntry } from '../kit/wheel.ts';
import { type ClientInfo, clientInfoOfInit } from './client-info.ts';
import type { ConnectionSlot } from './connections.ts';
import { ACK_FRAME, graphqlWsCodec, pongFrame } from './graphql-ws-codec.ts';
import { authorizationOf, badRequest, type Decision, decide, fitReason, parseMessage, type Phase } from './graphql-ws-protocol.ts';
import type { GraphqlWsOptions } from './graphql-ws.ts';
import type { TransportsMetrics } from './metrics.ts';
import type { Violation } from './websocket/frame-reader.ts';
import { WebSocketConnection, type WebSocketShared } from './websocket/web-socket.ts';
import { PING_FRAME } from './ws-frame.ts';

/** Bytes of heap that a waiting frame takes beside its own: its buffer object and its link. An empty pong has two bytes and costs eighty times as much. */
const PONG_OVERHEAD = 160;

/** What all connections of a server share, so that each holds one reference instead of ten. */
export type GraphqlWsShared = {
  readonly host: SessionHost;
  readonly options: GraphqlWsOptions;
  readonly wheel: Wheel;
  readonly sockets: WebSocketShared;
  readonly metrics: TransportsMetrics;
  readonly log: Logger;
};

/** What the upgrade request told, needed until connection_init. */
export type UpgradeFacts = { readonly authorization: string | undefined; readonly client: ClientInfo; readonly address: string };

/** One graphql-transport-ws connection: carries out what graphql-ws-protocol.ts decides. */
export class GraphqlWsConnection extends WebSocketConnection implements Transport, WheelEntry {
  wheelSlot = -1;
  wheelRounds = 0;

  readonly #shared: GraphqlWsShared;
  #slot: ConnectionSlot | null = null;
  #facts: UpgradeFacts | null;
  #phase: Phase = 'waiting';
  #session: Session | null = null;
  #messagesBeforeAck = 0;
  #pongBytes = 0;
  #heard = false;
  #keepAlive: 'idle' | 'awaiting' | 'answered' = 'idle';
  #closeLabel = 'client';

  constructor(shared: GraphqlWsShared, socket: Duplex, compressed: boolean, facts: UpgradeFacts) {
    super(socket, shared.sockets, compressed);
    this.#shared = shared;
    this.#facts = facts;
  }

  get name(): 'ws' {
    return 'ws';
  }

  get codec(): FrameCodec {
    return graphqlWsCodec;
  }

  /** Takes the connection into service. `head` are bytes that came with the upgrade request. */
  open(slot: ConnectionSlot, acceptable: boolean, head: Buffer): void {
    this.#slot = slot;
    this.#shared.wheel.schedule(this, this.#shared.options.initTimeoutMs);
    if (!acceptable) this.close(closeReasons.subprotocolNotAcceptable);
    this.listen(head);
  }

  // ---- received -------------------------------------------------------------------------------------------------------------

  protected onText(data: Buffer): void {
    this.#take(data);
  }

  protected onBinary(): void {
    this.#take(null);
  }

  /** Never throws: an exception here would end the process for the sake of one client. */
  #take(text: Buffer | null): void {
    if (this.#phase === 'closed') return;
    this.#heard = true;
    this.onControl();
    try {
      this.#receive(text);
    } catch (thrown) {
      this.#shared.log.error({ err: thrown }, 'a message could not be handled');
      this.close(closeReasons.internal);
    }
  }

  #receive(text: Buffer | null): void {
    const limits = this.#shared.options.protocol;
    if (this.#phase !== 'ready' && ++this.#messagesBeforeAck > limits.maxMessagesBeforeAck) {
      return this.close(badRequest('too many messages before the connection is acknowledged'));
    }
    const message =
      text === null
        ? ({ type: 'invalid', why: 'binary messages are not part of the protocol' } as const)
        : parseMessage(text.toString('utf8'), limits);
    this.#shared.metrics.messages.inc({ type: message.type });
    this.#act(decide(this.#phase, message, (id) => this.#session?.has(id) ?? false));
  }

  /** Any frame shows that the peer is there; only messages put off the next ping. */
  protected onControl(): void {
    if (this.#keepAlive === 'awaiting') this.#keepAlive = 'answered';
  }

  protected onBroken(violation: Violation): void {
    this.#closeLabel = violation.code === closeReasons.messageTooBig.code ? closeReasons.messageTooBig.label : 'protocol_error';
    this.#leave();
  }

  protected onLeaving(): void {
    this.#leave();
  }

  protected onClosed(): void {
    this.#end();
    this.#shared.wheel.cancel(this);
    this.#slot?.release(this.#closeLabel);
  }

  // ---- decided --------------------------------------------------------------------------------------------------------------

  #act(decision: Decision): void {
    switch (decision.kind) {
      case 'authenticate':
        this.#phase = 'opening';
        void this.#authenticate(decision.payload);
        return;
      case 'start':
        return this.#session?.start(decision.id, decision.request);
      case 'stop':
        this.#session?.stop(decision.id);
        return;
      case 'pong':
        return this.#pong(decision.payload);
      case 'close':
        return this.close(decision.reason);
      case 'ignore':
        return;
    }
  }

  async #authenticate(payload: JsonObject | null): Promise<void> {
    const { host, options, wheel } = this.#shared;
    const facts = this.#facts!;
    this.#facts = null;
    wheel.schedule(this, options.openTimeoutMs);
    const client = clientInfoOfInit(payload, facts.client);
    try {
      const authorization = authorizationOf(payload) ?? facts.authorization;
      const session = await host.open(
        { authorization, clientName: client.name, clientVersion: client.version, address: facts.address },
        this,
      );
      // The client may have gone, or the deadline passed, while its token was being verified.
      if (this.#phase !== 'opening') return session.end();
      this.#session = session;
      this.#phase = 'ready';
      this.#slot?.authenticated();
      this.write(ACK_FRAME);
      wheel.schedule(this, options.keepAliveMs);
    } catch (thrown) {
      this.#refuse(thrown);
    }
  }

  #refuse(thrown: unknown): void {
    const error = toMillraceError(thrown);
    if (error.spec.class === 'auth') {
      if (error.code === 'TOKEN_EXPIRED') return this.close(closeReasons.tokenExpired);
      return this.close({ ...closeReasons.forbidden, reason: fitReason('Forbidden: ', error.code, '') });
    }
    if (error.spec.class === 'limit')
      return this.close({ ...closeReasons.tryAgainLater, reason: fitReason('Try again later: ', error.code, '') });
    this.#shared.log.error({ err: error.cause ?? error }, 'a session could not be opened');
    this.close(closeReasons.internal);
  }

  #pong(payload: JsonObject | null): void {
    this.answerPing(pongFrame(payload === null ? null : JSON.stringify(payload)));
  }

  /** Pongs are the only bytes that a client can ask for without a session's limits, so they have their own. */
  protected answerPing(frame: Buffer): void {
    const most = this.#shared.options.maxPongBacklogBytes;
    const cost = frame.length + PONG_OVERHEAD;
    // Many pings may come at once from a client that reads: what it takes now does not count.
    if (this.#pongBytes + cost > most) this.flush();
    // One alone may be larger than the bound, as its ping was: it must pass, or a client that reads would be told that it does not.
    const waits = this.bufferedBytes() > 0;
    this.#pongBytes = waits ? this.#pongBytes + cost : cost;
    if (waits && this.#pongBytes > most) return this.close(closeReasons.tooSlow);
    this.send(frame);
  }

  // ---- sent -----------------------------------------------------------------------------------------------------------------

  write(frame: Buffer): void {
    if (this.#phase !== 'closed') this.sendFrames(frame);
  }

  close(reason: CloseReason): void {
    if (this.#phase === 'closed') return;
    this.#closeLabel = reason.label;
    this.#leave();
    this.closeWith(reason.code, reason.reason);
  }

  /** From here on it has so long to close. */
  #leave(): void {
    this.#end();
    this.#shared.wheel.schedule(this, this.#shared.options.closeTimeoutMs);
  }

  /** Nothing is written or read from here on, and the session's work stops. */
  #end(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#facts = null;
    this.forgetDrain();
    this.#session?.end();
    this.#session = null;
  }

  // ---- time -----------------------------------------------------------------------------------------------------------------

  onDue(): void {
    switch (this.#phase) {
      case 'waiting':
        return this.close(closeReasons.initTimeout);
      case 'opening':
        return this.close(closeReasons.tryAgainLater);
      case 'ready':
        return this.#keepAliveDue();
      case 'closed':
        // The peer does not finish the close handshake.
        return this.terminate();
    }
  }

  #keepAliveDue(): void {
    const { options, wheel } = this.#shared;
    switch (this.#keepAlive) {
      case 'awaiting':
        return this.close(closeReasons.pongTimeout);
      case 'answered':
        this.#keepAlive = 'idle';
        return wheel.schedule(this, Math.max(1, options.keepAliveMs - options.pongTimeoutMs));
      case 'idle':
        if (this.#heard) {
          this.#heard = false;
          return wheel.schedule(this, options.keepAliveMs);
        }
        this.#keepAlive = 'awaiting';
        this.send(PING_FRAME);
        return wheel.schedule(this, options.pongTimeoutMs);
    }
  }
}
