import type { GraphiQL } from 'graphiql';
import { getOperationAST, parse } from 'graphql';
import { type Client, createClient } from 'graphql-ws';
import type { ComponentProps } from 'react';

type Fetcher = ComponentProps<typeof GraphiQL>['fetcher'];
type FetcherParams = Parameters<Fetcher>[0];

/**
 * Queries and mutations go over HTTP, subscriptions over graphql-transport-ws. The Authorization of the header editor serves both: as
 * a header, and as connection_init. A connection is kept per token, so that changing it in the editor signs in anew.
 */
export function createFetcher(address: URL): Fetcher {
  let connection: { readonly authorization: string | undefined; readonly client: Client } | null = null;

  function clientFor(authorization: string | undefined): Client {
    if (connection !== null && connection.authorization === authorization) return connection.client;
    void connection?.client.dispose();
    const url = new URL(address);
    url.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    const client = createClient({
      url: url.href,
      lazy: true,
      lazyCloseTimeout: 3_000,
      retryAttempts: 5,
      // Codes from 4400 are refusals (spec/protocol.md section 3.3): say so at once instead of trying again.
      shouldRetry: (event) => !(event instanceof CloseEvent && event.code >= 4400),
      connectionParams: { clientName: 'graphiql', ...(authorization === undefined ? {} : { authorization }) },
    });
    connection = { authorization, client };
    return client;
  }

  const fetcher = async (params: FetcherParams, options?: { headers?: unknown }): Promise<unknown> => {
    const headers = usable(options?.headers);
    if (!isSubscription(params)) return overHttp(address, params, headers);
    const authorization = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization')?.[1];
    return explained(
      clientFor(authorization).iterate({
        query: params.query,
        variables: (params.variables as Record<string, unknown> | undefined) ?? null,
        operationName: params.operationName ?? null,
      }),
    );
  };
  // The toolkit's type asks for results exactly as its own graphql version types them; what travels is the same JSON.
  return fetcher as Fetcher;
}

async function overHttp(address: URL, params: FetcherParams, headers: Record<string, string>): Promise<unknown> {
  const response = await fetch(address, {
    method: 'POST',
    headers: { accept: 'application/json', 'content-type': 'application/json', 'graphql-client-name': 'graphiql', ...headers },
    body: JSON.stringify(params),
  });
  return response.json();
}

/** The header editor starts with an empty Authorization; sent as it is, it would be a token that does not verify. */
function usable(headers: unknown): Record<string, string> {
  const pairs = Object.entries((headers ?? {}) as Record<string, unknown>).map(([name, value]): [string, string] => [
    name,
    String(value).trim(),
  ]);
  return Object.fromEntries(pairs.filter(([, value]) => value !== ''));
}

function isSubscription({ query, operationName }: FetcherParams): boolean {
  try {
    return getOperationAST(parse(query), operationName)?.operation === 'subscription';
  } catch {
    return false;
  }
}

/** GraphiQL prints what is thrown as JSON; a close event would show as `{}`. */
async function* explained<T>(results: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* results;
  } catch (thrown) {
    if (thrown instanceof CloseEvent) {
      throw new Error(`The connection was closed: ${thrown.code} ${thrown.reason || '(no reason given)'}`, { cause: thrown });
    }
    if (Array.isArray(thrown)) {
      const messages = thrown.map((error: { message?: string }) => error.message ?? JSON.stringify(error));
      throw new Error(messages.join('\n'), { cause: thrown });
    }
    throw thrown;
  }
}
