/** What is connected to: a URL for WebSocket (`ws:`), or `net:` for a bare TCP socket. */
export type ConnectOptions = {
  readonly url: string;
  readonly sockets: number;
  /** Payload of connection_init with `§token` where each socket's own token goes; null: a socket without GraphQL. */
  readonly init: string | null;
};

export type SubscribeOptions = {
  /** Payloads of `subscribe`, as JSON; subscription `n` takes `payloads[n % payloads.length]`, with `§` replaced by `n % groups`. */
  readonly payloads: readonly string[];
  readonly groups: number;
  readonly perSocket: number;
};

/** From the harness to a worker. */
export type Order =
  | { readonly kind: 'connect'; readonly options: ConnectOptions; readonly first: number }
  | { readonly kind: 'subscribe'; readonly options: SubscribeOptions }
  /** From now on: a `reached` whenever so many further frames have come. */
  | { readonly kind: 'count'; readonly every: number; readonly latencies: boolean }
  | { readonly kind: 'collect' };

/** From a worker to the harness. */
export type Report =
  | { readonly kind: 'connected' }
  | { readonly kind: 'subscribed' }
  | { readonly kind: 'reached'; readonly at: number }
  | {
      readonly kind: 'collected';
      readonly frames: number;
      readonly bytes: number;
      readonly latencies: Float64Array;
      readonly cpuMicros: number;
    }
  | { readonly kind: 'failed'; readonly why: string };
