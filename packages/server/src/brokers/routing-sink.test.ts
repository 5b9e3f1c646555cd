import { describe, expect, it } from 'vitest';
import type { EventSink, SinkRecord } from './event-sink.ts';
import { RoutingSink } from './routing-sink.ts';
import { sinkRecordOf } from './testing/records.ts';

class ListSink implements EventSink {
  readonly guarantees;
  readonly records: SinkRecord[] = [];
  failure: Error | null = null;

  constructor(guarantees: EventSink['guarantees']) {
    this.guarantees = guarantees;
  }

  async append(records: readonly SinkRecord[]) {
    if (this.failure) throw this.failure;
    return records.map((record) => ({ status: 'accepted', position: `${record.topic}/${this.records.push(record)}` }) as const);
  }
}

const at = (id: string, topic: string): SinkRecord => ({ ...sinkRecordOf(id, 'k'), topic });

describe('the routing sink', () => {
  const own = new ListSink({ atomic: true, detectsDuplicates: true });
  const foreign = new ListSink({ atomic: false, detectsDuplicates: false });
  const sink = new RoutingSink(new Map([['main:deals', foreign]]), own);

  it('sends each record to the sink of its topic, and answers in the order of the call', async () => {
    const results = await sink.append([at('1', 'a'), at('2', 'main:deals'), at('3', 'a'), at('4', 'main:deals')]);
    expect(results.map((result) => ('position' in result ? result.position : result.status))).toEqual([
      'a/1',
      'main:deals/1',
      'a/2',
      'main:deals/2',
    ]);
  });

  it('promises what all of them hold', () => {
    expect(sink.guarantees).toEqual({ atomic: false, detectsDuplicates: false });
    expect(new RoutingSink(new Map(), own).guarantees).toEqual({ atomic: true, detectsDuplicates: true });
  });

  it('fails where one of them fails, after the other has answered', async () => {
    foreign.failure = new Error('away');
    const before = own.records.length;
    await expect(sink.append([at('5', 'main:deals'), at('6', 'a')])).rejects.toThrow('away');
    expect(own.records.length).toBe(before + 1);
  });
});
