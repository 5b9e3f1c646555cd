/**
 * Whether to connect again after a close, by the table in section 3.3 of Millrace's protocol: at once (with a little jitter), with
 * growing pauses, or never, because the same would be refused again.
 */
export type Reconnect =
  /** `hintMs`: the server named a pause. */
  { readonly kind: 'now'; readonly hintMs: number | null } | { readonly kind: 'later' } | { readonly kind: 'never' };

const LATER: Reconnect = { kind: 'later' };
const NEVER: Reconnect = { kind: 'never' };

const NEVER_CODES: ReadonlySet<number> = new Set([1002, 1003, 1007, 1008, 1009, 1010]);

export function reconnectAfter(code: number, reason: string): Reconnect {
  if (code === 1001 && !reason.startsWith('Session idle')) return { kind: 'now', hintMs: hintOf(reason) };
  if (code === 1012) return { kind: 'now', hintMs: null };
  if (code === 1013 && reason.startsWith('Pong timeout')) return { kind: 'now', hintMs: null };
  if (code === 4403) return reason.startsWith('Token expired') ? LATER : NEVER;
  if (code === 4408) return LATER;
  if (NEVER_CODES.has(code) || (code >= 4400 && code < 4500)) return NEVER;
  // A lost network (1005, 1006), a fault of the server (1011, 4500), a limit (1013), a proxy's own codes: all may pass.
  return LATER;
}

/** `Going away, retry in 1500 ms` */
function hintOf(reason: string): number | null {
  const match = /retry in (\d{1,7}) ?ms/.exec(reason);
  return match ? Number(match[1]) : null;
}
