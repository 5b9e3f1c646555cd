import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Identity } from '../access/identity.ts';
import { ManualClock } from '../kit/clock.ts';
import { ReleaseWatch, WATCHERS_MAX } from './release-watch.ts';
import { startTestRegistry, type TestRegistry } from './test-registry.ts';

/** A response whose room is ruled by the test. */
class FakeResponse extends EventEmitter {
  readonly written: string[] = [];
  full = false;
  ended = false;
  writeHead(): void {}
  flushHeaders(): void {}
  write(text: string): boolean {
    this.written.push(text);
    return !this.full;
  }
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.emit('close');
  }
  get ids(): string[] {
    return this.written.flatMap((text) => /^id: (\w+)$/m.exec(text)?.[1] ?? []);
  }
}

const HOUR = 3_600_000;

describe('following the releases', () => {
  let clock: ManualClock;
  let fixture: TestRegistry;
  let watch: ReleaseWatch;
  beforeEach(async () => {
    clock = new ManualClock();
    fixture = await startTestRegistry({ clock });
    watch = new ReleaseWatch(fixture.registry);
  });
  afterEach(async () => {
    watch.close();
    await fixture.close();
  });

  const identity = (expiresAt: number | null): Identity => ({
    kind: 'user',
    tenant: 't',
    user: 'u',
    roles: [],
    groups: [],
    scopes: [],
    expiresAt,
    issuer: 'i',
    tokenId: null,
    token: '',
  });
  const open = (expiresAt: number | null = null): FakeResponse => {
    const res = new FakeResponse();
    watch.open({ headers: {} } as IncomingMessage, res as unknown as ServerResponse, identity(expiresAt));
    return res;
  };
  const push = async (n: number): Promise<string | undefined> => {
    await fixture.registry.push([{ name: 'plain', version: `v${n}`, typeDefs: `type Query { f${n}: Int }` }], 'ann');
    return fixture.registry.release()?.digest;
  };

  it('sends a comment every 15 s so that proxies keep the connection', () => {
    const res = open();
    clock.advance(45_000);
    expect(res.written).toEqual([':\n\n', ':\n\n', ':\n\n', ':\n\n']);
  });

  it('ends with the token, and not before', () => {
    const res = open(clock.now() + HOUR);
    clock.advance(HOUR - 1);
    expect(res.ended).toBe(false);
    clock.advance(1);
    expect(res.ended).toBe(true);
  });

  it('keeps for a slow reader the newest release alone, and no comments', async () => {
    const res = open();
    res.full = true;
    const first = await push(1);
    await push(2);
    const third = await push(3);
    const before = res.written.length;
    clock.advance(HOUR);
    expect(res.written).toHaveLength(before);
    expect(res.ids).toEqual([first]);
    res.full = false;
    res.emit('drain');
    expect(res.ids).toEqual([first, third]);
  });

  it('stops when the reader goes away', async () => {
    const res = open();
    res.emit('close');
    const written = res.written.length;
    await push(1);
    clock.advance(HOUR);
    expect(res.written).toHaveLength(written);
  });

  it('is bounded, and a place that is left is free again', () => {
    const all = Array.from({ length: WATCHERS_MAX }, () => open());
    expect(() => open()).toThrow(expect.objectContaining({ code: 'WATCHERS_LIMIT' }));
    all[0]?.end();
    expect(open().ended).toBe(false);
  });

  it('survives a reader whose socket breaks', () => {
    expect(() => open().emit('error', new Error('reset'))).not.toThrow();
  });
});
