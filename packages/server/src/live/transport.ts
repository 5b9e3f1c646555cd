/**
 * PORT. One accepted connection, as the rest of the house sees it: bytes out, no decisions.
 * Implementations: `graphql-transport-ws`, `graphql-sse` (distinct and single-connection).
 */
export interface Transport {
  readonly name: 'ws' | 'sse';
  readonly codec: FrameCodec;
  /**
   * Queues ready frames. Frames written within one turn of the event loop leave in one system call where the platform allows.
   * Never throws; after `close` it does nothing.
   */
  write(frame: Buffer): void;
  /** Bytes accepted by `write` that the operating system has not taken yet. */
  bufferedBytes(): number;
  /** Called once when `bufferedBytes` has fallen to zero. One listener at a time. */
  onDrain(listener: () => void): void;
  close(reason: CloseReason): void;
}

/** Turns payloads into frames. Stateless and shared by all connections of a kind, so that groups can share the bytes. */
export interface FrameCodec {
  readonly kind: 'ws' | 'sse-distinct' | 'sse-single';
  /** `payload` is JSON text of an execution result; `cursor` becomes the SSE id. */
  next(operationId: string, payload: Buffer, cursor: string | null): Buffer;
  error(operationId: string, errorsJson: string): Buffer;
  complete(operationId: string): Buffer;
}

/** A row of the close-code table in spec/protocol.md. */
export type CloseReason = {
  /** WebSocket close code; SSE says the same in a final event. */
  readonly code: number;
  readonly reason: string;
  /** Whether a client should connect again: at once, after a pause, or never. */
  readonly reconnect: 'now' | 'later' | 'never';
  /** Metric label. */
  readonly label: string;
};
