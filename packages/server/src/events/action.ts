import type { Json } from '../kit/json.ts';
import { type Reject, reject } from './errors.ts';
import type { EventFrame } from './event-frame.ts';
import { type LiveAction, type LiveType, valueAt } from './live-type.ts';

/** What producers commonly say, in lower case. Normative: spec/envelope.md. */
export const ACTION_SYNONYMS: ReadonlyMap<string, LiveAction> = new Map([
  ...['added', 'add', 'created', 'create', 'inserted', 'insert'].map((word) => [word, 'ADDED'] as const),
  ...['changed', 'change', 'updated', 'update', 'modified', 'modify', 'edited', 'edit'].map((word) => [word, 'CHANGED'] as const),
  ...['deleted', 'delete', 'removed', 'remove', 'destroyed', 'destroy'].map((word) => [word, 'DELETED'] as const),
]);

const DEBEZIUM_OPS: ReadonlyMap<string, LiveAction> = new Map([
  ['c', 'ADDED'],
  ['r', 'ADDED'],
  ['u', 'CHANGED'],
  ['d', 'DELETED'],
]);

const DEFAULT_ACTION_MEMBER = 'action';
const VERSION_SEGMENT = /^v\d+$/;

export type ActionResult =
  | { readonly kind: 'action'; readonly action: LiveAction }
  | { readonly kind: 'drop'; readonly reason: string }
  | Reject;

const ADDED: ActionResult = { kind: 'action', action: 'ADDED' };
const CHANGED: ActionResult = { kind: 'action', action: 'CHANGED' };
const DELETED: ActionResult = { kind: 'action', action: 'DELETED' };

/**
 * In order: a Debezium op; what stands at an action path that the directive chose; the last segment of a CloudEvent's type;
 * what stands at the default path. A word without a mapping is rejected or dropped as the directive says. A body that says
 * nothing at the default path is CHANGED: something happened to the entity, and the image is its current state.
 */
export function actionOf(frame: EventFrame, type: LiveType): ActionResult {
  if (frame.change) return ofWord(frame.change.op, type, wordsOf(type).get(frame.change.op) ?? DEBEZIUM_OPS.get(frame.change.op));
  const said = valueAt(frame.payload.value, type.action) ?? null;
  const chosenPath = type.action.length !== 1 || type.action[0] !== DEFAULT_ACTION_MEMBER;
  if (chosenPath && said !== null) return fromBody(said, type);
  const typeWord = frame.event ? wordOfType(frame.event.attributes.type, type) : null;
  if (typeWord?.action) return result(typeWord.action);
  if (said !== null) return fromBody(said, type);
  if (typeWord?.binding) return unknown(type, `the action ${printableWord(typeWord.word)} at the end of the CloudEvent’s type`);
  if (!chosenPath || isPassThrough(type)) return CHANGED;
  return type.unknownAction === 'drop'
    ? { kind: 'drop', reason: 'no action' }
    : reject('ACTION_MISSING', `nothing stands at the action path ${type.action.join('.')}`);
}

function fromBody(said: Json, type: LiveType): ActionResult {
  if (typeof said === 'object') return unknown(type, 'an object or list at the action path');
  const word = String(said);
  const words = wordsOf(type);
  return ofWord(word, type, words.get(word) ?? words.get(word.toLowerCase()));
}

function ofWord(word: string, type: LiveType, action: LiveAction | undefined): ActionResult {
  return action ? result(action) : unknown(type, `the action ${printableWord(word)}`);
}

function result(action: LiveAction): ActionResult {
  if (action === 'CHANGED') return CHANGED;
  return action === 'ADDED' ? ADDED : DELETED;
}

function unknown(type: LiveType, what: string): ActionResult {
  if (isPassThrough(type)) return CHANGED;
  if (type.unknownAction === 'drop') return { kind: 'drop', reason: `${what} has no mapping` };
  return reject('ACTION_UNKNOWN', `${what} has no mapping to ADDED, CHANGED or DELETED on ${type.name}`);
}

/** A stream without identity has no entity whose life a word could tell: unless the directive maps words, every message passes. */
function isPassThrough(type: LiveType): boolean {
  return type.key.length === 0 && type.actions.size === 0 && type.unknownAction === 'reject';
}

/** Action words are vocabulary, not data; still only a short plain word is repeated. */
function printableWord(word: string): string {
  return /^[\w.:-]{1,40}$/.test(word) ? `"${word}"` : 'of the event';
}

type TypeWord = { readonly word: string; readonly action: LiveAction | undefined; readonly binding: boolean };

/**
 * `binding`: the type is the topic and one segment more, so that the segment can be nothing but an action.
 * A version segment at the end (`crm.deals.changed.v2`) is passed over.
 */
function wordOfType(eventType: string, type: LiveType): TypeWord | null {
  if (eventType === type.topic) return null;
  const { stem, word } = splitType(eventType);
  if (word === '') return null;
  const words = wordsOf(type);
  return { word, action: words.get(word) ?? words.get(word.toLowerCase()), binding: stem === type.topic };
}

/** `crm.deals.changed.v2` to `crm.deals` and `changed`; a type without a dot has no word. */
export function splitType(eventType: string): { readonly stem: string; readonly word: string } {
  let rest = eventType;
  const last = rest.lastIndexOf('.');
  if (last > 0 && VERSION_SEGMENT.test(rest.slice(last + 1))) rest = rest.slice(0, last);
  const dot = rest.lastIndexOf('.');
  return dot <= 0 ? { stem: rest, word: '' } : { stem: rest.slice(0, dot), word: rest.slice(dot + 1) };
}

const lowered = new WeakMap<LiveType, ReadonlyMap<string, LiveAction>>();

function wordsOf(type: LiveType): ReadonlyMap<string, LiveAction> {
  if (type.actions.size === 0) return ACTION_SYNONYMS;
  let words = lowered.get(type);
  if (!words) {
    words = new Map([...type.actions].map(([word, action]) => [word.toLowerCase(), action]));
    lowered.set(type, words);
  }
  return words;
}
