/**
 * A registry that drains ends the streams of those who follow its releases, so that they go to another process. One that came just after
 * was still taken: it got a stream with comments every 15 s and no release ever, since the registry had stopped listening to itself, and the
 * comments told it that all was well. It is refused now.
 */
import { expect, it } from 'vitest';
import { startTestRegistry } from './test-registry.ts';

it('whoever wants to follow a registry that drains is sent away', async () => {
  const registry = await startTestRegistry();
  try {
    registry.handler.drain();
    const answer = await registry.call('GET', '/release/watch');
    expect([answer.status, (answer.json as { readonly code: string }).code]).toEqual([503, 'REGISTRY_DRAINING']);
    expect(answer.headers.get('retry-after')).toBe('1');
  } finally {
    await registry.close();
  }
});
