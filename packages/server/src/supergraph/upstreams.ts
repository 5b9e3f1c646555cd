import { type Clock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { supergraphErrors } from './errors.ts';
import type { SubgraphAnswer, SubgraphRequest } from './generation.ts';
import type { SupergraphMetrics } from './metrics.ts';
import type { SubgraphTarget } from './release.ts';
import { openSseUpstream } from './upstream-sse.ts';
import { openWsUpstream } from './upstream-ws.ts';
import { type Upstream, UpstreamQueue } from './upstream.ts';

export type UpstreamOptions = {
  /** Subscriptions open at one subgraph; beyond it SUBGRAPH_OVERLOADED. */
  readonly subscriptionsMax?: number;
  /** Results of one subscription that wait for their reader; beyond it the stream ends with SUBGRAPH_STREAM_LOST. */
  readonly bufferMax?: number;
  /** Bytes of one message. */
  readonly messageBytesMax?: number;
  /** From connecting to the upstream's acknowledgement, ms. */
  readonly connectMs?: number;
};

export const UPSTREAM_DEFAULTS = { subscriptionsMax: 1000, bufferMax: 1000, messageBytesMax: 4 * 1024 * 1024, connectMs: 10_000 } as const;

/** Subscriptions that subgraphs serve themselves. One connection each: identities differ, and an upstream's fault stays with its reader. */
export class Upstreams {
  readonly #targets: ReadonlyMap<string, SubgraphTarget>;
  readonly #clock: Clock;
  readonly #metrics: SupergraphMetrics | undefined;
  readonly #options: Required<UpstreamOptions>;
  readonly #open = new Map<string, Set<Upstream>>();

  constructor(
    targets: ReadonlyMap<string, SubgraphTarget>,
    clock: Clock,
    metrics: SupergraphMetrics | undefined,
    options: UpstreamOptions,
  ) {
    this.#targets = targets;
    this.#clock = clock;
    this.#metrics = metrics;
    this.#options = { ...UPSTREAM_DEFAULTS, ...options };
  }

  async *subscribe(request: SubgraphRequest): AsyncGenerator<SubgraphAnswer, void, void> {
    const name = request.operation.subgraph;
    const open = this.#open.get(name) ?? new Set();
    this.#open.set(name, open);
    if (open.size >= this.#options.subscriptionsMax)
      throw this.#counted(
        name,
        new MillraceError(supergraphErrors.SUBGRAPH_OVERLOADED, `subgraph "${name}" has ${open.size} subscriptions open already`),
      );
    const queue = new UpstreamQueue(name, this.#options.bufferMax);
    const upstream = this.#connect(request, queue);
    const cancel = (): void => queue.end();
    open.add(upstream);
    this.#metrics?.upstreams.labels(name).set(open.size);
    request.signal?.addEventListener('abort', cancel, { once: true });
    if (request.signal?.aborted) cancel();
    try {
      yield* queue;
    } catch (thrown) {
      throw this.#counted(name, thrown);
    } finally {
      request.signal?.removeEventListener('abort', cancel);
      upstream.close();
      open.delete(upstream);
      this.#metrics?.upstreams.labels(name).set(open.size);
    }
  }

  #connect(request: SubgraphRequest, queue: UpstreamQueue): Upstream {
    const url = subscriptionUrl(this.#targets.get(request.operation.subgraph));
    if (!url) {
      const { subgraph } = request.operation;
      throw this.#counted(
        subgraph,
        new MillraceError(supergraphErrors.SUBGRAPH_UNREACHABLE, `subgraph "${subgraph}" has no usable subscription address`),
      );
    }
    const settings = {
      url,
      request,
      queue,
      clock: this.#clock,
      messageBytesMax: this.#options.messageBytesMax,
      connectMs: this.#options.connectMs,
    };
    return url.protocol.startsWith('ws') ? openWsUpstream(settings) : openSseUpstream(settings);
  }

  /** By code, beside the failures of requests: an overflow or a lost stream must not be seen by its reader alone. */
  #counted(subgraph: string, thrown: unknown): unknown {
    if (thrown instanceof MillraceError) this.#metrics?.failures.labels(subgraph, thrown.code).inc();
    return thrown;
  }

  close(): void {
    for (const open of this.#open.values()) for (const upstream of open) upstream.close();
  }
}

/** Without an own address subscriptions go to the query address over WebSocket, which is what most servers offer there. */
function subscriptionUrl(target: SubgraphTarget | undefined): URL | null {
  const text = target?.subscriptionUrl ?? target?.url.replace(/^http/, 'ws') ?? '';
  return URL.canParse(text) && /^(ws|http)s?:/.test(text) ? new URL(text) : null;
}
