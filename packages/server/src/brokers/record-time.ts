/** The last moment that a Date can hold (ECMA-262, 21.4.1.1). */
const LATEST = 8_640_000_000_000_000;

/**
 * The time that a producer gave, or that of arrival where it gave none (Kafka: -1) or one that no clock shows: a number beyond 64 bits could
 * not be stored with a dead letter, and its record would stand in the way for ever.
 */
export function recordTime(given: number, now: number): number {
  return given >= 0 && given <= LATEST ? Math.trunc(given) : now;
}
