import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseEventsMessage, parseNote } from './redis-messages.ts';
import { channelKeys, partitionNames, partitionOf, slotOf, wireName } from './redis-names.ts';

const tenant = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '__proto__', 'a\tb', 'a\nb', '\ud800', '\udfff', '{x}', 'a"b', 'a\\b'),
);

describe('names in Redis', () => {
  it('differ for different tenants, in UTF-8 too', () => {
    fc.assert(
      fc.property(tenant, tenant, (one, two) => {
        const [first, second] = [one, two].map((name) => Buffer.from(wireName({ tenant: name, type: 'Deal' })));
        expect(first!.equals(second!)).toBe(one === two);
      }),
    );
  });

  it('can stand in a line of a message', () => {
    fc.assert(fc.property(tenant, (name) => void expect(wireName({ tenant: name, type: 'Deal' })).not.toMatch(/[\t\n\r]/)));
  });

  it('have one slot for all keys of a partition, whatever is in the channel’s name', () => {
    const names = partitionNames('millrace', 7);
    const keys = [names.state, names.watchers, names.interest, names.events, names.notes, ...channelKeys(names, 'Deal:{x}{y}')];
    for (const key of keys) expect(/\{(.*?)\}/.exec(key)?.[1]).toBe('millrace:7');
    expect(keys.filter((key) => key.startsWith(names.tag)).length).toBe(12);
    expect(Buffer.from(channelKeys(names, 'Deal:ü')[0]!).subarray(names.nameAt).toString()).toBe('Deal:ü');
  });

  it('have the slots of the specification of Redis Cluster', () => {
    // 0x31C3 is the check value of CRC16/XMODEM for 123456789.
    expect(slotOf('{123456789}')).toBe(0x31c3 % 16_384);
    expect(slotOf('{foo}')).toBe(12_182);
  });

  it('spread over all partitions', () => {
    const counts = new Array<number>(32).fill(0);
    for (let i = 0; i < 32_000; i++) counts[partitionOf(wireName({ tenant: `tenant-${i}`, type: 'Deal' }), 32)]! += 1;
    expect(Math.min(...counts)).toBeGreaterThan(800);
    expect(Math.max(...counts)).toBeLessThan(1_200);
  });
});

describe('messages of partitions', () => {
  const all = (): boolean => true;

  it('are read channel by channel, and only where somebody wants them', () => {
    const text = 'e\trun\t7\nDeal:a\te1\t3\t2\n{"a":1}\n{"a":2}\nDeal:b\te2\t1\t1\n{"b":1}';
    const a = { name: 'Deal:a', epoch: 'e1', first: 3, payloads: ['{"a":1}', '{"a":2}'] };
    const b = { name: 'Deal:b', epoch: 'e2', first: 1, payloads: ['{"b":1}'] };
    expect(parseEventsMessage(text, all)).toEqual({ kind: 'events', run: 'run', seq: 7, parts: [a, b] });
    expect(parseEventsMessage(text, (name) => name === 'Deal:b')).toEqual({ kind: 'events', run: 'run', seq: 7, parts: [b] });
  });

  it('say how far a watcher has come, and which interest has changed', () => {
    expect(parseEventsMessage('a\trun\t12\twatcher', all)).toEqual({ kind: 'seen', run: 'run', watcher: 'watcher', version: 12 });
    expect(parseNote('3\t+\tDeal:a')).toEqual({ version: 3, kind: 'added', names: ['Deal:a'] });
    expect(parseNote('4\t-\tDeal:a\tDeal:b')).toEqual({ version: 4, kind: 'removed', names: ['Deal:a', 'Deal:b'] });
  });

  it('are refused where they are cut off or of another kind, and never throw', () => {
    const text = 'e\trun\t7\nDeal:a\te1\t3\t2\n{"a":1}\n{"a":2}';
    expect(parseEventsMessage(text.slice(0, text.lastIndexOf('\n')), all)).toBeNull();
    expect(parseEventsMessage('x\t1\t2\n', all)).toBeNull();
    expect(parseNote('x\t+\tDeal:a')).toBeNull();
    fc.assert(
      fc.property(
        fc.string(),
        (noise) => void [parseEventsMessage(noise, all), parseNote(noise), parseEventsMessage(`e\tr\t1\n${noise}`, all)],
      ),
    );
  });
});
