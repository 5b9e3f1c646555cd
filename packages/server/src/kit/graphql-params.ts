import { getOperationAST, parse } from 'graphql';
import { isJsonObject, type Json, type JsonObject, ownMember } from './json.ts';

/** The request parameters of GraphQL over HTTP, checked for their types only. */
export type GraphqlParams = {
  readonly query: string;
  readonly operationName: string | null;
  readonly variables: JsonObject;
  readonly extensions: JsonObject;
};

export type ParamsOutcome =
  | { readonly kind: 'params'; readonly params: GraphqlParams }
  /** `batch`: a list, which this server does not take. */
  | { readonly kind: 'invalid' | 'batch'; readonly why: string };

/** From a POST body. Total. Never quotes what the client sent. */
export function paramsOfJson(text: string): ParamsOutcome {
  let body: Json;
  try {
    body = JSON.parse(text) as Json;
  } catch {
    return invalid('the body is not JSON');
  }
  if (Array.isArray(body)) return { kind: 'batch', why: 'the body is a list; send one operation per request' };
  if (!isJsonObject(body)) return invalid('the body is not a JSON object');
  return check(ownMember(body, 'query'), ownMember(body, 'operationName'), ownMember(body, 'variables'), ownMember(body, 'extensions'));
}

/** From the URL of a GET. `variables` and `extensions` are JSON texts. */
export function paramsOfUrl(search: URLSearchParams): ParamsOutcome {
  const variables = jsonParameter(search, 'variables');
  const extensions = jsonParameter(search, 'extensions');
  if (variables === undefined) return invalid('variables in the URL is not JSON');
  if (extensions === undefined) return invalid('extensions in the URL is not JSON');
  return check(search.get('query') ?? undefined, search.get('operationName'), variables, extensions);
}

/**
 * Whether this request would run a mutation, for refusing it over GET before anything else happens. False where the document does
 * not parse: then whoever runs it says what is wrong.
 */
export function isMutation(query: string, operationName: string | null): boolean {
  if (!/\bmutation\b/.test(query)) return false;
  try {
    const document = parse(query, { noLocation: true, maxTokens: 10_000 });
    return getOperationAST(document, operationName)?.operation === 'mutation';
  } catch {
    return false;
  }
}

function check(query: Json | undefined, name: Json | undefined, variables: Json | undefined, extensions: Json | undefined): ParamsOutcome {
  if (typeof query !== 'string') return invalid(query === undefined ? 'query is missing' : 'query must be a string');
  if (name !== undefined && name !== null && typeof name !== 'string') return invalid('operationName must be a string');
  if (variables !== undefined && variables !== null && !isJsonObject(variables)) return invalid('variables must be an object');
  if (extensions !== undefined && extensions !== null && !isJsonObject(extensions)) return invalid('extensions must be an object');
  return { kind: 'params', params: { query, operationName: name || null, variables: variables ?? {}, extensions: extensions ?? {} } };
}

function jsonParameter(search: URLSearchParams, name: string): Json | undefined {
  const text = search.get(name);
  if (text === null || text === '') return null;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function invalid(why: string): ParamsOutcome {
  return { kind: 'invalid', why };
}
