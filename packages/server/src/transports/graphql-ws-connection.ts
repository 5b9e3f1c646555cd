import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { closeReasons } from '../live/close-reasons.ts';
import type { Session, SessionHost } from '../live/session.ts';
import type { CloseReason, Transport } from '../live/transport.ts';
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
import type { TurnWriter } from './turn.ts';
import { eachPayload, PING_FRAME } from './ws-frame.ts';

/** What all connections of a server share, so that each holds one reference instead of ten. */
export type GraphqlWsShared = {
  readonly host: SessionHost;
  readonly options: GraphqlWsOptions;
  readonly wheel: Wheel;
  readonly turn: TurnWriter;
  readonly metrics: TransportsMetrics;
  readonly log: Logger;
};

/** What the upgrade request told, needed until connection_init. */
export type UpgradeFacts = { readonly authorization: string | undefined; readonly client: ClientInfo; readonly address: string };

const EMPTY = Buffer.alloc(0);

/** One graphql-transport-ws connection: carries out what graphql-ws-protocol.ts decides. */
export class GraphqlWsConnection implements Transport, WheelEntry {
  readonly name = 'ws';
  readonly codec = graphqlWsCodec;
  wheelSlot = -1;
  wheelRounds = 0;

  readonly #shared: GraphqlWsShared;
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #compressed: boolean;
  #slot: ConnectionSlot | null = null;
  #facts: UpgradeFacts | null;
  #phase: Phase = 'waiting';
  #session: Session | null = null;
  #messagesBeforeAck = 0;
  #pongBytes = 0;
  #heard = false;
  #keepAlive: 'idle' | 'awaiting' | 'answered' = 'idle';
  #closeLabel = 'client';
  #onDrain: (() => void) | null = null;

  constructor(shared: GraphqlWsShared, ws: WebSocket, socket: Duplex, facts: UpgradeFacts) {
    this.#shared = shared;
    this.#ws = ws;
    this.#socket = socket;
    this.#compressed = ws.extensions.includes('permessage-deflate');
    this.#facts = facts;
  }

  /** Takes the connection into service. */
  open(slot: ConnectionSlot, acceptable: boolean): void {
    this.#slot = slot;
    this.#shared.wheel.schedule(this, this.#shared.options.initTimeoutMs);
    if (!acceptable) this.close(closeReasons.subprotocolNotAcceptable);
  }

  // ---- received -------------------------------------------------------------------------------------------------------------

  /** Never throws: an exception here would end the process for the sake of one client. */
  onMessage(data: Buffer, isBinary: boolean): void {
    if (this.#phase === 'closed') return;
    this.onSignOfLife(true);
    try {
      this.#receive(data, isBinary);
    } catch (thrown) {
      this.#shared.log.error({ err: thrown }, 'a message could not be handled');
      this.close(closeReasons.internal);
    }
  }

  #receive(data: Buffer, isBinary: boolean): void {
    const limits = this.#shared.options.protocol;
    if (this.#phase !== 'ready' && ++this.#messagesBeforeAck > limits.maxMessagesBeforeAck) {
      return this.close(badRequest('too many messages before the connection is acknowledged'));
    }
    const message = isBinary
      ? ({ type: 'invalid', why: 'binary messages are not part of the protocol' } as const)
      : parseMessage(data.toString('utf8'), limits);
    this.#shared.metrics.messages.inc({ type: message.type });
    this.#act(decide(this.#phase, message, (id) => this.#session?.has(id) ?? false));
  }

  /** Any frame shows that the peer is there; only messages put off the next ping. */
  onSignOfLife(message: boolean): void {
    if (message) this.#heard = true;
    if (this.#keepAlive === 'awaiting') this.#keepAlive = 'answered';
  }

  /** The library found a broken frame and closes with the code that RFC 6455 gives it. */
  onError(code: string | undefined): void {
    this.#closeLabel = code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' ? closeReasons.messageTooBig.label : 'protocol_error';
    this.#end();
  }

  onClose(): void {
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

  /** Pongs are the only bytes that a client can ask for without a session's limits, so they have their own. */
  #pong(payload: JsonObject | null): void {
    const frame = pongFrame(payload === null ? null : JSON.stringify(payload));
    if (this.bufferedBytes() === 0) this.#pongBytes = 0;
    this.#pongBytes += frame.length;
    if (this.#pongBytes > this.#shared.options.maxPongBacklogBytes) return this.close(closeReasons.tooSlow);
    this.write(frame);
  }

  // ---- sent -----------------------------------------------------------------------------------------------------------------

  write(frame: Buffer): void {
    if (this.#phase === 'closed' || this.#ws.readyState !== WebSocket.OPEN) return;
    if (this.#compressed) return eachPayload(frame, (payload) => this.#ws.send(payload, { binary: false }, this.#flushed));
    if (this.#socket.writableCorked === 0) this.#shared.turn.cork(this.#socket);
    this.#socket.write(frame);
  }

  bufferedBytes(): number {
    return this.#compressed ? this.#ws.bufferedAmount : this.#socket.writableLength;
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
    // An empty write goes through the same queue as the frames, so its callback comes when all before it have left. The stream's own
    // `drain` event would not do: it comes only after the high-water mark was passed.
    if (!this.#compressed) this.#socket.write(EMPTY, this.#flushed);
    else if (this.#ws.bufferedAmount === 0) queueMicrotask(this.#flushed);
  }

  readonly #flushed = (): void => {
    const listener = this.#onDrain;
    if (!listener || this.#phase === 'closed') return;
    if (this.bufferedBytes() > 0) {
      if (!this.#compressed) this.#socket.write(EMPTY, this.#flushed);
      return;
    }
    this.#onDrain = null;
    listener();
  };

  close(reason: CloseReason): void {
    if (this.#phase === 'closed') return;
    this.#closeLabel = reason.label;
    this.#end();
    this.#shared.wheel.schedule(this, this.#shared.options.closeTimeoutMs);
    this.#ws.close(reason.code, reason.reason);
  }

  /** Nothing is written or read from here on, and the session's work stops. */
  #end(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#facts = null;
    this.#onDrain = null;
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
        return this.#ws.terminate();
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
        this.#ping();
        return wheel.schedule(this, options.pongTimeoutMs);
    }
  }

  #ping(): void {
    if (this.#compressed) this.#ws.ping();
    else this.write(PING_FRAME);
  }
}
