import { useEffect, useState } from 'react';
import type { BoardState } from './board-state.ts';
import type { ConnectionState } from './connection.ts';

/** Says what the connection is doing, in words and not by colour alone. */
export function ConnectionPill({ connection, state }: { readonly connection: ConnectionState; readonly state: BoardState }) {
  const now = useNow(connection.kind === 'waiting');
  const latency = state.feed.find((item) => item.latencyMs !== null)?.latencyMs;
  return (
    <p className="pill" data-kind={connection.kind}>
      <span className="dot" aria-hidden="true" />
      <span role="status">{wordsFor(connection)}</span>
      {connection.kind === 'waiting' && <small aria-hidden="true">{Math.max(0, Math.ceil((connection.until - now) / 1_000))} s</small>}
      {connection.kind === 'live' && latency !== undefined && <small title="From the monolith's change to this page">{latency} ms</small>}
      {connection.kind === 'refused' && (
        <button type="button" onClick={() => location.reload()}>
          Try again
        </button>
      )}
    </p>
  );
}

function wordsFor(connection: ConnectionState): string {
  switch (connection.kind) {
    case 'connecting':
      return 'Connecting';
    case 'live':
      return 'Live';
    case 'waiting':
      return 'Offline, trying again';
    case 'refused':
      return `Refused: ${connection.reason}`;
  }
}

function useNow(running: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!running) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}
