import { describe, expect, test } from 'vitest';
import { DeadLetterBreaker } from './breaker.ts';

const options = { windowMs: 1_000, minDead: 4, share: 0.5, coolDownMs: 100, maxCoolDownMs: 300, probe: 4 };

function tripped(): DeadLetterBreaker {
  const breaker = new DeadLetterBreaker(options);
  for (let i = 0; i < 4; i++) breaker.decide(true, 0);
  return breaker;
}

function probe(breaker: DeadLetterBreaker, now: number, dead: boolean): void {
  const allowed = breaker.allowance(now);
  breaker.take(allowed);
  for (let i = 0; i < allowed && breaker.state === 'half-open'; i++) breaker.decide(dead, now);
}

describe('the breaker', () => {
  test('opens at minDead, and then lets nothing through until its pause is over', () => {
    const breaker = tripped();
    expect(breaker.state).toBe('open');
    expect(breaker.allowance(99)).toBe(0);
    expect(breaker.allowance(100)).toBe(4);
    expect(breaker.state).toBe('half-open');
  });

  test('stays closed while dead letters are the smaller part', () => {
    const breaker = new DeadLetterBreaker(options);
    for (let i = 0; i < 100; i++) breaker.decide(i % 3 === 2, 0);
    expect(breaker.state).toBe('closed');
  });

  test('forgets dead letters of an earlier window', () => {
    const breaker = new DeadLetterBreaker(options);
    for (let i = 0; i < 10; i++) breaker.decide(true, i * 1_000);
    expect(breaker.state).toBe('closed');
  });

  test('closes after a good probe and starts again with the short pause', () => {
    const breaker = tripped();
    probe(breaker, 100, false);
    expect(breaker.state).toBe('closed');
    for (let i = 0; i < 4; i++) breaker.decide(true, 200);
    expect(breaker.until).toBe(300);
  });

  test('doubles its pause while probes fail, up to the bound', () => {
    const breaker = tripped();
    const pauses: number[] = [];
    for (let i = 0; i < 3; i++) {
      const now = breaker.until;
      probe(breaker, now, true);
      pauses.push(breaker.until - now);
    }
    expect(pauses).toEqual([200, 300, 300]);
  });

  test('records that a probe took and that were parked may be taken again', () => {
    const breaker = tripped();
    breaker.allowance(100);
    breaker.take(4);
    expect(breaker.allowance(100)).toBe(0);
    breaker.giveBack(4);
    expect(breaker.allowance(100)).toBe(4);
  });
});
