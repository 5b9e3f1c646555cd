import { expect, it } from 'vitest';
import { recordTime } from './record-time.ts';

/**
 * Fault: a producer that writes microseconds where AMQP wants seconds. The time, a thousandfold once more, was beyond 64 bits; its dead letter could not
 * be stored, was tried for ever, and the queue behind it stood still.
 */
it('takes the time of arrival for one that no clock shows', () => {
  expect([-1, Number.NaN, Number.POSITIVE_INFINITY, 1.8e19].map((given) => recordTime(given, 7))).toEqual([7, 7, 7, 7]);
  expect([0, 1_700_000_000_000.5, 8.64e15].map((given) => recordTime(given, 7))).toEqual([0, 1_700_000_000_000, 8.64e15]);
});
