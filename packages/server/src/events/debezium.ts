import { type Json, type JsonObject, isJsonObject, ownMember } from '../kit/json.ts';
import type { CloudEvent, DebeziumChange, Payload } from './decoded.ts';
import { type Reject, reject } from './errors.ts';
import { eventTime } from './event-time.ts';

const OPS: ReadonlySet<string> = new Set(['c', 'u', 'd', 'r', 't', 'm']);

/**
 * Members of `source` that say where in the database's log a change stands, over all connectors. A change is identified by
 * those that its connector writes. https://debezium.io/documentation/reference/stable/connectors/
 */
const POSITION_MEMBERS = [
  'lsn',
  'gtid',
  'file',
  'pos',
  'row',
  'change_lsn',
  'commit_lsn',
  'event_serial_no',
  'scn',
  'commit_scn',
  'rs_id',
  'ssn',
  'ord',
  'vgtid',
  'txId',
] as const;

/** The object with op, source, before and after: the body itself, or the payload beside a schema. Null where it is no change event. */
export function debeziumPayload(root: Payload, opAttribute: Json | undefined): Payload | null {
  const { value } = root;
  if (!isJsonObject(value)) return null;
  if (looksLikeChange(value, opAttribute)) return root;
  const inner = Object.hasOwn(value, 'schema') && Object.hasOwn(value, 'payload') ? value['payload'] : undefined;
  if (!isJsonObject(inner) || !looksLikeChange(inner, opAttribute)) return null;
  return { document: root.document, path: [...root.path, 'payload'], value: inner };
}

/** The converter for Kafka Connect wraps even a tombstone: `{"schema":null,"payload":null}`. */
export function isWrappedTombstone(value: Json | undefined): boolean {
  return isJsonObject(value) && Object.keys(value).length === 2 && value['payload'] === null && Object.hasOwn(value, 'schema');
}

function looksLikeChange(value: JsonObject, opAttribute: Json | undefined): boolean {
  const op = Object.hasOwn(value, 'op') ? value['op'] : opAttribute;
  if (typeof op !== 'string' || !OPS.has(op)) return false;
  if (!Object.hasOwn(value, 'before') && !Object.hasOwn(value, 'after') && op !== 't' && op !== 'm') return false;
  return opAttribute !== undefined || isJsonObject(ownMember(value, 'source'));
}

/** `change` comes from `debeziumPayload`. */
export function debeziumChange(change: Payload, event: CloudEvent | null, opAttribute: Json | undefined): DebeziumChange | Reject {
  const value = change.value;
  if (!isJsonObject(value)) return reject('DEBEZIUM_INVALID', 'a change event must be a JSON object');
  const op = Object.hasOwn(value, 'op') ? value['op'] : opAttribute;
  if (typeof op !== 'string') return reject('DEBEZIUM_INVALID', 'the change event has no op');
  const given = ownMember(value, 'source');
  const source = isJsonObject(given) ? given : {};
  return { kind: 'debezium', op, source, time: timeOf(source['ts_ms']) ?? timeOf(ownMember(value, 'ts_ms')), change, event };
}

/** Zero is what old connectors write for rows that a snapshot read. */
function timeOf(value: Json | undefined): string | null {
  return typeof value === 'number' && value > 0 ? eventTime(value) : null;
}

/**
 * Identifies the change across redelivery and restarts of the connector, or null where `source` has no position (and for
 * rows read by a snapshot, which share one). Table and key belong to it: one log position may hold several rows.
 */
export function debeziumId({ op, source }: DebeziumChange, key: string | null): string | null {
  if (op === 'r') return null;
  const position: string[] = [];
  for (const name of POSITION_MEMBERS) {
    const value = ownMember(source, name);
    if (typeof value === 'string' || typeof value === 'number') position.push(`${name}=${value}`);
  }
  if (position.length === 0 || (position.length === 1 && position[0]?.startsWith('txId'))) return null;
  const table = ['connector', 'name', 'db', 'schema', 'table', 'collection']
    .map((name) => scalar(source[name]))
    .filter((part) => part !== '');
  return `dbz:${table.join('.')}:${position.join(',')}:${op}:${key ?? ''}`;
}

function scalar(value: Json | undefined): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
