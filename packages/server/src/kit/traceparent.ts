const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** A W3C trace context (Trace Context, section 3.2), or null: a malformed one would make subgraphs drop their own. */
export function validTraceparent(value: unknown): string | null {
  return typeof value === 'string' && TRACEPARENT.test(value) ? value : null;
}

/** Whether the caller records this trace (Trace Context, section 3.2.2.5.1). Of a valid one. */
export function isSampled(traceparent: string): boolean {
  return (Number.parseInt(traceparent.slice(53, 55), 16) & 1) === 1;
}

/** The same context with the request to record it taken out. */
export function unsampled(traceparent: string): string {
  return `${traceparent.slice(0, 53)}00`;
}
