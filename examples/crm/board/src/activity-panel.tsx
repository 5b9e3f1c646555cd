import { useEffect, useState } from 'react';
import type { BoardState } from './board-state.ts';
import { actorName, ago, changeText } from './format.ts';

type Props = { readonly state: BoardState; readonly announcing: boolean; readonly onAnnouncing: (announcing: boolean) => void };

export function ActivityPanel({ state, announcing, onAnnouncing }: Props) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <aside className="activity" aria-labelledby="activity-title">
      <header>
        <h2 id="activity-title">Activity</h2>
        <label>
          <input type="checkbox" checked={announcing} onChange={(event) => onAnnouncing(event.target.checked)} />
          Read out changes
        </label>
      </header>
      {state.feed.length === 0 && <p className="empty">Nothing yet. The monolith will do something in a moment.</p>}
      <ol>
        {state.feed.map((item) => (
          <li key={item.key} data-kind={item.change.kind}>
            <time dateTime={new Date(item.at).toISOString()}>{ago(now - item.at)}</time>
            <p>
              {item.change.kind !== 'gap' && <strong>{item.change.deal.title}</strong>} {changeText(item, state.stages)}
              <small>{actorName(item.by, state.users)}</small>
            </p>
          </li>
        ))}
      </ol>
    </aside>
  );
}
