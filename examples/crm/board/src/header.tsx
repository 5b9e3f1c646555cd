import { Avatar } from './avatar.tsx';
import { ConnectionPill } from './connection-pill.tsx';
import { Mark } from './mark.tsx';
import type { Person } from './session.ts';
import type { Board } from './use-board.ts';

type Props = {
  readonly board: Board;
  readonly person: Person;
  readonly graphqlUrl: string;
  readonly activity: boolean;
  readonly onActivity: () => void;
  readonly onNewDeal: () => void;
  readonly onLeave: () => void;
};

export function Header({ board, person, graphqlUrl, activity, onActivity, onNewDeal, onLeave }: Props) {
  return (
    <header className="top">
      <Mark />
      <div className="title">
        <h1>Deals</h1>
        <p>{person.company}</p>
      </div>
      <ConnectionPill connection={board.connection} state={board.state} />
      <nav aria-label="Board">
        <a className="quiet" href={graphqlUrl} target="_blank" rel="noreferrer">
          GraphiQL
        </a>
        <button type="button" className="quiet" aria-pressed={activity} onClick={onActivity}>
          Activity
        </button>
        <button type="button" className="primary" onClick={onNewDeal}>
          New deal
        </button>
        <button type="button" className="me" onClick={onLeave} aria-label={`${person.name}, switch user`}>
          <Avatar name={person.name} />
          <span>{person.name}</span>
        </button>
      </nav>
    </header>
  );
}
