import type { SinkRecord } from '../event-sink.ts';

export function sinkRecordOf(eventId: string, key: string | null, pad = ''): SinkRecord {
  const value = Buffer.from(JSON.stringify({ event_id: eventId, pad }));
  return {
    topic: 'crm.deals',
    key,
    eventId,
    headers: new Map([['content-type', 'application/json']]),
    value,
    timestamp: 1_700_000_000_000,
  };
}
