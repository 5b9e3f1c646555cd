import type { Json } from '../kit/json.ts';

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d{1,9})?([Zz]|([+-])(\d\d):?(\d\d))$/;
const DIGITS = /^\d{1,19}$/;
/** Within the years 0001 to 9999, which is what RFC 3339 can say. */
const EARLIEST = -62_135_596_800_000;
const LATEST = 253_402_300_799_999;

/**
 * A producer's time as RFC 3339 in UTC, or null where it is none. Takes RFC 3339 (a blank for `T` and an offset without colon
 * are forgiven, a missing zone is not: it would be a guess) and Unix times as number or digit string in the unit that its size
 * tells: below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds.
 */
export function eventTime(value: Json): string | null {
  if (typeof value === 'number') return fromUnix(value);
  if (typeof value !== 'string') return null;
  const parts = RFC3339.exec(value);
  if (parts) return fromParts(value, parts);
  return DIGITS.test(value) ? fromUnix(Number(value)) : null;
}

export function timeOfMillis(ms: number): string {
  if (ms === last.ms) return last.text;
  const text = new Date(Number.isFinite(ms) ? Math.min(LATEST, Math.max(EARLIEST, ms)) : 0).toISOString();
  last = { ms, text };
  return text;
}

/** Events of one batch have one time of receipt, and formatting it was a twelfth of all that ingest does. */
let last = { ms: Number.NaN, text: '' };

function fromUnix(value: number): string | null {
  if (!(value >= 0) || value > 1e20) return null;
  if (value < 1e11) return timeOfMillis(Math.round(value * 1_000));
  if (value < 1e14) return timeOfMillis(Math.round(value));
  return timeOfMillis(Math.round(value < 1e17 ? value / 1_000 : value / 1_000_000));
}

function fromParts(text: string, parts: RegExpExecArray): string | null {
  const [year, month, day, hour, minute, second] = [
    Number(parts[1]),
    Number(parts[2]),
    Number(parts[3]),
    Number(parts[4]),
    Number(parts[5]),
    Number(parts[6]),
  ];
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 60) return null;
  if (parts[8] === 'Z' && parts[0][10] === 'T' && second < 60) return text;
  const offsetMinutes = parts[9] ? Number(parts[10]) * 60 + Number(parts[11]) : 0;
  if (Number(parts[10] ?? 0) > 23 || Number(parts[11] ?? 0) > 59) return null;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // A leap second has no place in Unix time; it becomes the second that follows.
  date.setUTCHours(hour, minute - (parts[9] === '-' ? -offsetMinutes : offsetMinutes), second, 0);
  const ms = date.getTime();
  if (ms < EARLIEST || ms > LATEST) return null;
  const fraction = parts[7] ?? '.000';
  return `${date.toISOString().slice(0, 19)}${fraction}Z`;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
