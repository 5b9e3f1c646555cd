import { useCallback, useRef, useState } from 'react';
import { ActivityPanel } from './activity-panel.tsx';
import { Announcer, useAnnouncer } from './announcer.tsx';
import { dealsIn } from './board-state.ts';
import { Columns } from './columns.tsx';
import { Header } from './header.tsx';
import { NewDealDialog } from './new-deal-dialog.tsx';
import type { Config, Person } from './session.ts';
import { Summary } from './summary.tsx';
import { useBoard } from './use-board.ts';

type Props = { readonly person: Person; readonly config: Config; readonly onLeave: () => void };

export function BoardPage({ person, config, onLeave }: Props) {
  const board = useBoard(person, config.wsUrl);
  const { state } = board;
  const announcer = useAnnouncer(state);
  const [failure, setFailure] = useState<string | null>(null);
  const [activity, setActivity] = useState(() => matchMedia('(min-width: 1560px)').matches);
  const dialog = useRef<HTMLDialogElement>(null);
  const { say } = announcer;

  const { move } = board;
  const onMove = useCallback(
    (id: string, stageId: string) => {
      setFailure(null);
      void move(id, stageId).then((reason) => reason !== null && setFailure(`The deal was not moved: ${reason}`));
    },
    [move],
  );

  return (
    <div className="page" data-activity={activity}>
      <a className="skip" href="#board">
        Skip to the board
      </a>
      <Header
        board={board}
        person={person}
        graphqlUrl={config.graphqlUrl}
        activity={activity}
        onActivity={() => setActivity(!activity)}
        onNewDeal={() => dialog.current?.showModal()}
        onLeave={onLeave}
      />
      <Summary state={state} />
      {board.trouble !== null && (
        <p className="banner" role="status">
          {board.trouble}. Trying again.
        </p>
      )}
      {failure !== null && (
        <p className="banner bad" role="alert">
          {failure}
          <button type="button" onClick={() => setFailure(null)}>
            Dismiss
          </button>
        </p>
      )}
      <main id="board" tabIndex={-1} aria-label="Deals by stage" aria-busy={!state.loaded}>
        <Columns
          state={state}
          stale={board.connection.kind !== 'live'}
          dealsIn={(stageId, carried) => dealsIn(state, stageId, carried)}
          onMove={onMove}
          say={say}
        />
      </main>
      {activity && <ActivityPanel state={state} announcing={announcer.announcing} onAnnouncing={announcer.setAnnouncing} />}
      <NewDealDialog ref={dialog} users={state.users} me={person.id} onCreate={board.create} onCreated={say} />
      <Announcer text={announcer.text} />
    </div>
  );
}
