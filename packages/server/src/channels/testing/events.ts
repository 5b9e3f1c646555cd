import type { LiveEvent } from '../../events/live-event.ts';

export function liveEvent(id: string, over: Partial<LiveEvent> = {}): LiveEvent {
  return {
    id,
    tenant: 'acme',
    type: 'Deal',
    key: 'd1',
    action: 'CHANGED',
    version: null,
    at: '2026-01-01T00:00:00Z',
    entity: { n: id },
    before: null,
    raw: JSON.stringify({ n: id }),
    delta: null,
    audience: { kind: 'tenant' },
    bytes: 100,
    traceparent: null,
    receivedAt: 1_700_000_000_000,
    ...over,
  };
}
