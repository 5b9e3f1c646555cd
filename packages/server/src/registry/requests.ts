import type { JsonObject } from '../kit/json.ts';
import type { Pin, PushRequest } from './registry.ts';
import { Shape, type TextRule } from './shapes.ts';

const NAME: TextRule = { min: 3, max: 200, name: true };
/** Where no older registry set the rule. */
const ANY_NAME: TextRule = { min: 1, max: 200, name: true };
const VERSION: TextRule = { min: 1, max: 100, name: true };
const SDL: TextRule = { min: 1 };
const URL_HTTP: TextRule = { max: 255, optional: true, emptyIsNull: true, schemes: ['http', 'https'] };
const URL_WS: TextRule = { max: 255, optional: true, emptyIsNull: true, schemes: ['ws', 'wss'] };
const URL_ANY: TextRule = { max: 255, optional: true, emptyIsNull: true, schemes: ['http', 'https', 'ws', 'wss'] };
const MAPPING: TextRule = { min: 1, optional: true, emptyIsNull: true };

const PUSH_KEYS = ['name', 'version', 'type_defs', 'url', 'mapping_defs', 'subscription_url'];
/** Services of one push, and pins of one question. */
export const SERVICES_MAX = 1000;
export const DOCUMENT_MAX = 1024 * 1024;

export function pushRequest(body: JsonObject): PushRequest {
  const shape = new Shape();
  const request = readPush(shape, body, '', NAME);
  shape.check();
  return request;
}

export function pushAllRequest(body: JsonObject): readonly PushRequest[] {
  const shape = new Shape();
  shape.only(body, ['services']);
  const services = shape.objects(body, 'services', { min: 1, max: SERVICES_MAX, optional: false });
  const requests = services.map((service, index) => readPush(shape, service, `services[${index}].`, ANY_NAME));
  shape.unique(
    'services',
    requests.map((request) => request.name || null),
  );
  shape.check();
  return requests;
}

function readPush(shape: Shape, body: JsonObject, prefix: string, nameRule: TextRule): PushRequest {
  const request = {
    name: shape.text(body, 'name', nameRule, prefix) ?? '',
    version: shape.text(body, 'version', VERSION, prefix) ?? '',
    typeDefs: shape.text(body, 'type_defs', SDL, prefix) ?? '',
    url: shape.text(body, 'url', URL_HTTP, prefix),
    mappingDefs: shape.text(body, 'mapping_defs', MAPPING, prefix),
    subscriptionUrl: shape.text(body, 'subscription_url', URL_ANY, prefix),
  };
  shape.only(body, PUSH_KEYS, prefix);
  return request;
}

/** An address has no part in a comparison of schemas, so it is refused rather than ignored. */
export function diffRequest(body: JsonObject): PushRequest {
  const shape = new Shape();
  const { name, version, typeDefs, mappingDefs } = readPush(shape, body, '', NAME);
  for (const key of ['url', 'subscription_url']) if (Object.hasOwn(body, key)) shape.fault(key, 'is not allowed');
  shape.check();
  return { name, version, typeDefs, mappingDefs: mappingDefs ?? null };
}

/** Unknown keys are dropped here: gateways send more about their services than we ask for. */
export function composeRequest(body: JsonObject): readonly Pin[] {
  const shape = new Shape();
  const services = shape.objects(body, 'services', { min: 0, max: SERVICES_MAX, optional: true });
  const pins = services.map((service, index) => ({
    name: shape.text(service, 'name', ANY_NAME, `services[${index}].`) ?? '',
    version: shape.text(service, 'version', VERSION, `services[${index}].`) ?? '',
  }));
  shape.unique(
    'services',
    pins.map((pin) => pin.name || null),
  );
  shape.check();
  return pins;
}

export function persistedQueryRequest(body: JsonObject): { readonly key: string; readonly value: string } {
  const shape = new Shape();
  shape.only(body, ['key', 'value']);
  const key = shape.text(body, 'key', { min: 1, max: 200, name: true }) ?? '';
  const value = shape.text(body, 'value', { min: 1, max: DOCUMENT_MAX }) ?? '';
  shape.check();
  return { key, value };
}

export type SubscriptionRequest = {
  readonly name: string;
  readonly version: string;
  readonly typeDefs: string;
  readonly wsUrl: string | null;
};

export function subscriptionRequest(body: JsonObject): SubscriptionRequest {
  const shape = new Shape();
  shape.only(body, ['name', 'version', 'type_defs', 'ws_url']);
  const request = {
    name: shape.text(body, 'name', NAME) ?? '',
    version: shape.text(body, 'version', VERSION) ?? '',
    typeDefs: shape.text(body, 'type_defs', SDL) ?? '',
    wsUrl: shape.text(body, 'ws_url', URL_WS),
  };
  shape.check();
  return request;
}

export function historyRequest(query: URLSearchParams): { readonly before: number | null; readonly limit: number } {
  const shape = new Shape();
  const before = wholeNumber(shape, query, 'before', 2_147_483_647);
  const limit = wholeNumber(shape, query, 'limit', 500);
  shape.check();
  return { before, limit: limit ?? 100 };
}

function wholeNumber(shape: Shape, query: URLSearchParams, key: string, max: number): number | null {
  const text = query.get(key);
  if (text === null) return null;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= max ? value : shape.fault(key, `must be a whole number from 1 to ${max}`);
}
