import { useCallback, useEffect, useMemo, useReducer, useSyncExternalStore } from 'react';
import type { CombinedError } from 'urql';
import { type BoardState, EMPTY_BOARD, reduceBoard } from './board-state.ts';
import { connect, type Connection, type ConnectionState } from './connection.ts';
import { BOARD_QUERY, CREATE_DEAL, DEAL_EVENTS, MOVE_DEAL } from './documents.ts';
import { fetchToken, type Person } from './session.ts';

export type NewDeal = { readonly title: string; readonly account: string; readonly value: number; readonly ownerId: string };

export type Board = {
  readonly state: BoardState;
  readonly connection: ConnectionState;
  /** Why the board or its changes cannot be had, in words for the reader; null while all is well. */
  readonly trouble: string | null;
  /** Resolves with the reason where it failed. */
  move(id: string, stageId: string): Promise<string | null>;
  create(deal: NewDeal): Promise<string | null>;
};

const RETRY_MS = 3_000;

/** The board of one person: read once, then kept by events. */
export function useBoard(person: Person, wsUrl: string): Board {
  const [state, dispatch] = useReducer(reduceBoard, EMPTY_BOARD);
  const [trouble, setTrouble] = useReducer((_: string | null, next: string | null) => next, null);
  const connection = useMemo(() => connect(wsUrl, () => fetchToken(person.id)), [wsUrl, person.id]);
  const connectionState = useSyncExternalStore(connection.onState, connection.state);

  useEffect(() => {
    const stopEvents = followEvents(connection, dispatch, setTrouble);
    const stopReturn = connection.onReturn((resumed) => {
      // Nothing had been received, so there is no cursor to continue from: what happened meanwhile can only be read.
      if (!resumed) dispatch({ kind: 'reload' });
    });
    return () => {
      stopReturn();
      stopEvents();
      connection.close();
    };
  }, [connection]);

  useEffect(() => (state.loaded ? undefined : readBoard(connection, dispatch, setTrouble)), [connection, state.loaded]);

  const move = useCallback(
    async (id: string, stageId: string) => {
      dispatch({ kind: 'moving', id, stageId });
      const { data, error } = await connection.client.mutation(MOVE_DEAL, { id, stageId }).toPromise();
      dispatch(data?.moveDeal ? { kind: 'confirmed', deal: data.moveDeal } : { kind: 'failed', id });
      return data?.moveDeal ? null : wordsOf(error);
    },
    [connection],
  );
  const create = useCallback(
    async (deal: NewDeal) => {
      const { data, error } = await connection.client.mutation(CREATE_DEAL, { ...deal }).toPromise();
      if (data?.createDeal) dispatch({ kind: 'confirmed', deal: data.createDeal });
      return data?.createDeal ? null : wordsOf(error);
    },
    [connection],
  );
  return { state, connection: connectionState, trouble, move, create };
}

type Dispatch = (action: Parameters<typeof reduceBoard>[1]) => void;

/** Subscribes, and again from the start where the server ended the subscription itself (it refused the cursor, say). */
function followEvents(connection: Connection, dispatch: Dispatch, setTrouble: (trouble: string | null) => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let active: { unsubscribe(): void } | undefined;
  const start = (): void => {
    let over = false;
    const again = (why: string): void => {
      if (over || stopped) return;
      over = true;
      if (connection.state().kind !== 'refused') setTrouble(`No changes arrive: ${why}`);
      timer = setTimeout(() => {
        start();
        dispatch({ kind: 'reload' });
      }, RETRY_MS);
    };
    active = connection.client.subscription(DEAL_EVENTS, {}).subscribe(({ data, error }) => {
      if (!data?.dealEvent) return again(wordsOf(error));
      setTrouble(null);
      dispatch({ kind: 'event', event: data.dealEvent, now: Date.now() });
    });
  };
  start();
  return () => {
    stopped = true;
    clearTimeout(timer);
    active?.unsubscribe();
  };
}

function readBoard(connection: Connection, dispatch: Dispatch, setTrouble: (trouble: string | null) => void): () => void {
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const read = async (): Promise<void> => {
    const { data, error } = await connection.client.query(BOARD_QUERY, {}).toPromise();
    if (stopped) return;
    if (data?.deals && data.stages) {
      dispatch({ kind: 'snapshot', stages: data.stages, users: data.users ?? [], deals: data.deals });
      return setTrouble(null);
    }
    if (connection.state().kind !== 'refused') setTrouble(`The board cannot be read: ${wordsOf(error)}`);
    timer = setTimeout(() => void read(), RETRY_MS);
  };
  void read();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

function wordsOf(error: CombinedError | undefined): string {
  return error?.graphQLErrors[0]?.message ?? error?.networkError?.message ?? 'the server gave no reason';
}
