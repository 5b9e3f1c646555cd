import { describe, expect, it } from 'vitest';
import { FLAGS, HELP, readOptions } from './options.ts';

const read = (...argv: readonly string[]) => readOptions(argv, '/results');

describe('the options of the benchmark', () => {
  it('have a line of help each', () => {
    for (const flag of Object.keys(FLAGS)) expect(HELP).toMatch(new RegExp(`^  --${flag} `, 'm'));
  });

  it('by default ask for five runs of all rows, which are kept', () => {
    expect(read()).toMatchObject({ names: [], runs: 5, long: false, trafficSeconds: null, store: '/results' });
  });

  it('keep nothing that later results could not be compared with', () => {
    for (const argv of [['--runs', '4'], ['--quick'], ['--only', 'millrace'], ['--profile', '/tmp'], ['--no-store']]) {
      expect(read(...argv).store).toBeNull();
    }
    expect(read('fan-out', '--runs', '7').store).toBe('/results');
  });

  it('refuse what is no number, in one line', () => {
    expect(() => read('--runs', 'many')).toThrow('--runs: got many, takes a whole number from 1 to 100');
    expect(() => read('--traffic', '0')).toThrow('--traffic: got 0');
  });
});
