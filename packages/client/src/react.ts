import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import type { ClientState } from './connection.ts';
import type { LiveError } from './errors.ts';
import type { LiveClient } from './live-client.ts';
import type { Gap, LiveEvent, SubscribeOptions, SubscriptionState } from './subscription.ts';

export type LiveSubscriptionOptions<T> = Pick<SubscribeOptions<T>, 'query' | 'variables' | 'operationName' | 'cursorVariable'> & {
  /** True: do not subscribe (not signed in yet, say). */
  readonly skip?: boolean;
  /** For every event, none left out: React may show only the last of several that come in one turn. */
  readonly onEvent?: (event: LiveEvent<T>) => void;
  /** Read again whatever was built from the events. */
  readonly onGap?: (gap: Gap) => void;
};

export type LiveSubscriptionResult<T> = {
  readonly state: SubscriptionState;
  readonly last: LiveEvent<T> | null;
  readonly error: LiveError | null;
};

/** Subscribes while the component is mounted; anew when `query`, `operationName` or `variables` (compared as JSON) change. */
export function useLiveSubscription<T = unknown>(client: LiveClient, options: LiveSubscriptionOptions<T>): LiveSubscriptionResult<T> {
  const [result, setResult] = useState<LiveSubscriptionResult<T>>({ state: 'connecting', last: null, error: null });
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const { query, operationName, cursorVariable, skip = false } = options;
  const variables = JSON.stringify(options.variables ?? {});
  useEffect(() => {
    setResult({ state: skip ? 'ended' : 'connecting', last: null, error: null });
    if (skip) return undefined;
    const subscription = client.subscribe<T>({
      query,
      variables: JSON.parse(variables) as Record<string, unknown>,
      ...(operationName === undefined ? {} : { operationName }),
      ...(cursorVariable === undefined ? {} : { cursorVariable }),
      onEvent(event) {
        latest.current.onEvent?.(event);
        setResult((before) => ({ ...before, last: event }));
      },
      onGap: (gap) => latest.current.onGap?.(gap),
      onError: (error) => setResult((before) => ({ ...before, error })),
      onState: (state) => setResult((before) => ({ ...before, state })),
    });
    return () => subscription.unsubscribe();
  }, [client, query, operationName, cursorVariable, variables, skip]);
  return result;
}

/** The connection's state, for a sign that says whether what is shown is current. */
export function useClientState(client: LiveClient): ClientState {
  return useSyncExternalStore(
    (listener) => client.onState(listener),
    () => client.state,
    () => client.state,
  );
}
