const UNITS = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 604_800_000],
]);

/**
 * `30s`, `15m`, `1h`, `7d`, `2w`, `250ms`, several in a row (`1h30m`), or a bare number of seconds; to milliseconds.
 * Null for anything else, for negative and fractional numbers, and beyond 100 years.
 */
export function parseDuration(text: string): number | null {
  if (text.length > 40) return null;
  if (/^\d+$/.test(text)) return bounded(Number(text) * 1000);
  if (!/^(\d+(ms|[smhdw]))+$/.test(text)) return null;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|[smhdw])/g)) total += Number(amount) * (UNITS.get(unit ?? '') ?? Number.NaN);
  return bounded(total);
}

function bounded(ms: number): number | null {
  return Number.isSafeInteger(ms) && ms <= 3_155_760_000_000 ? ms : null;
}

/** `90_000` is `90s`; for messages. */
export function formatSeconds(ms: number): string {
  return `${Math.round(ms / 1000)}s`;
}
