/**
 * What is recorded of the way of an event and of an operation. The names are stable: people search for them.
 * `ingest.append` → `ingest.map` → `channel.publish` → `live.match`, `group.execute` → `subgraph.request`, `live.deliver`.
 */
export type SpanName =
  | 'ingest.append'
  | 'ingest.map'
  | 'channel.publish'
  | 'live.match'
  | 'group.execute'
  | 'live.deliver'
  | 'graphql.operation'
  | 'subgraph.request';

/** Names and counts only: never tokens, variables, documents, or anything of an entity. */
export type SpanAttributes = Readonly<Record<string, string | number>>;

/**
 * PORT. Records traces (W3C Trace Context). Synchronous, total and bounded: never throws, never waits, and drops spans, counted, rather
 * than hold up or crowd out the path that it watches. A span that is not sampled is null, so that it costs its caller one comparison.
 */
export interface Tracer {
  /** False: nothing is ever sampled. Whoever would have to prepare something for a span asks first. */
  readonly enabled: boolean;
  /** A span below `parent`, a valid traceparent; null where that one is not sampled, or there is none. `startedAt`: ms since the epoch; without it: now. */
  child(name: SpanName, parent: string | null, attributes?: SpanAttributes, startedAt?: number): Span | null;
  /** The first span of a trace, for one in so many, by chance that no caller can influence. */
  root(name: SpanName, attributes?: SpanAttributes, startedAt?: number): Span | null;
}

export interface Span {
  /** What children, here or in other processes, name as their parent. */
  readonly traceparent: string;
  set(name: string, value: string | number): void;
  /** Exactly once. `failure`: the code of what went wrong. */
  end(failure?: string): void;
}

/** Where tracing is off. */
export const noTracer: Tracer = { enabled: false, child: () => null, root: () => null };
