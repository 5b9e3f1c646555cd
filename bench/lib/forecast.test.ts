import { describe, expect, it } from 'vitest';
import { duration, Forecast } from './forecast.ts';

const ROWS = [
  { name: 'a', seconds: 100 },
  { name: 'b', seconds: 100 },
  { name: 'c', seconds: 200 },
];

describe('the forecast', () => {
  it('is what rows say of themselves, for as many runs as there are', () => {
    expect(new Forecast(ROWS, 5).where('a')).toBe('row 1 of 3, about 7 min left');
    expect(new Forecast(ROWS, 1).where('a')).toBe('row 1 of 3, about 80 s left');
  });

  it('follows how long rows have really taken', () => {
    const forecast = new Forecast(ROWS, 5);
    forecast.took('a', 200);
    expect(forecast.where('b')).toBe('row 2 of 3, about 10 min left');
    forecast.took('b', 100);
    expect(forecast.where('c')).toBe('row 3 of 3, about 5 min left');
  });

  it('never says that nothing is left', () => {
    expect(duration(0)).toBe('1 s');
  });
});
