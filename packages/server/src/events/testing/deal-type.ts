import type { LiveType } from '../live-type.ts';

/** What the directive makes of `type Deal @key(fields: "id") @live(topic: "crm.deals", tenant: "company_id")`: every default in its place. */
export function dealType(change: Partial<LiveType> = {}): LiveType {
  return {
    name: 'Deal',
    subgraph: 'crm',
    broker: 'default',
    topic: 'crm.deals',
    tenant: { kind: 'path', path: ['company_id'] },
    key: [{ field: 'id', path: ['id'] }],
    visibility: 'TENANT',
    audience: { users: ['users'], groups: ['groups'], owner: ['owner'] },
    version: null,
    format: 'AUTO',
    entity: [],
    before: ['before'],
    action: ['action'],
    actions: new Map(),
    unknownAction: 'reject',
    eventId: ['event_id'],
    at: ['at'],
    carried: [],
    fieldName: 'deal',
    list: null,
    ...change,
  };
}
