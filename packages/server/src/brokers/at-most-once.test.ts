import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../kit/log.ts';
import { AtMostOnceSource } from './at-most-once.ts';
import type { EventSource } from './event-source.ts';
import { Beside } from './testing/beside.ts';
import { sinkRecordOf } from './testing/records.ts';

let beside: Beside;
beforeEach(() => (beside = new Beside()).open());
afterEach(() => beside.dispose());

const over = (source: EventSource): AtMostOnceSource => new AtMostOnceSource(source, beside.log.deadLetters, silentLogger);

describe('at most once', () => {
  it('has settled what it hands out, durably', async () => {
    await beside.log.sink.append([sinkRecordOf('1', 'k'), sinkRecordOf('2', 'k')]);
    expect(await over(beside.redriven).pull(10)).toHaveLength(2);
    await beside.close();
    await beside.open();
    expect(await beside.redriven.lag()).toBe(0);
  });

  it('keeps dead letters all the same', async () => {
    await beside.log.sink.append([sinkRecordOf('1', 'k')]);
    const source = over(beside.redriven);
    const [record] = await source.pull(1);
    source.settle(record!, { kind: 'dead', code: 'X', reason: 'y' });
    await source.flush();
    expect(await beside.log.deadLetters.list({ limit: 10 })).toMatchObject([{ code: 'X', reason: 'y' }]);
  });

  it('hands nothing out where the broker does not take the settlement: it might come twice', async () => {
    await beside.log.sink.append([sinkRecordOf('1', 'k')]);
    const inner = beside.redriven;
    const failing: EventSource = {
      name: 'failing',
      open: () => inner.open(),
      pull: (max) => inner.pull(max),
      settle: (record, settlement) => inner.settle(record, settlement),
      flush: () => Promise.reject(new Error('away')),
      lag: () => inner.lag(),
      close: () => inner.close(),
    };
    await expect(over(failing).pull(1)).rejects.toThrow('away');
  });
});
