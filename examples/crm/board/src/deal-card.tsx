import { type DragEvent, type KeyboardEvent, useEffect, useState } from 'react';
import { Avatar } from './avatar.tsx';
import type { Deal, FeedItem } from './board-state.ts';
import type { Stage } from './documents.ts';
import { money, stageName } from './format.ts';

type Props = {
  readonly deal: Deal;
  readonly stages: readonly Stage[];
  readonly stageId: string;
  /** The last thing that happened to it, if it happened while the page was open. */
  readonly change: FeedItem | undefined;
  readonly carried: boolean;
  readonly waiting: boolean;
  /** The one card that Tab stops at. */
  readonly focusable: boolean;
  onFocus(): void;
  onKey(event: KeyboardEvent): void;
  onPick(stageId: string): void;
};

/** How long a card shows that it changed. */
const FRESH_MS = 3_500;

export function DealCard({ deal, stages, stageId, change, carried, waiting, focusable, onFocus, onKey, onPick }: Props) {
  const fresh = useFresh(change);
  const note = fresh && change ? noteOf(change, stages) : null;
  const [dragging, setDragging] = useState(false);
  const start = (event: DragEvent): void => {
    event.dataTransfer.setData('text/plain', deal.id);
    event.dataTransfer.effectAllowed = 'move';
    setDragging(true);
  };
  return (
    <li
      className="card"
      data-deal={deal.id}
      data-fresh={fresh ? change?.change.kind : undefined}
      data-carried={carried}
      data-dragging={dragging}
      data-waiting={waiting}
      draggable
      onDragStart={start}
      onDragEnd={() => setDragging(false)}
    >
      <button
        type="button"
        className="grip"
        tabIndex={focusable ? 0 : -1}
        aria-pressed={carried}
        aria-describedby="card-help"
        aria-label={`${deal.title}, ${deal.account}, ${money(deal.value, deal.currency)}, ${stageName(stages, stageId)}, ${deal.ownerName ?? 'no owner'}`}
        onFocus={onFocus}
        onKeyDown={onKey}
      >
        <span className="name">{deal.title}</span>
        <span className="account">{deal.account}</span>
        <span className="foot">
          <span className="value">{money(deal.value, deal.currency)}</span>
          {note !== null && (
            <span className="note" data-tone={note.tone}>
              {note.text}
            </span>
          )}
          <Avatar name={deal.ownerName} />
        </span>
      </button>
      <select
        className="stage"
        aria-label={`Stage of ${deal.title}`}
        tabIndex={focusable ? 0 : -1}
        value={stageId}
        onChange={(event) => onPick(event.target.value)}
      >
        {stages.map((stage) => (
          <option key={stage.id} value={stage.id}>
            {stage.name}
          </option>
        ))}
      </select>
    </li>
  );
}

function useFresh(change: FeedItem | undefined): boolean {
  const [over, setOver] = useState(0);
  const key = change?.key ?? 0;
  const age = change ? Date.now() - change.at : Number.POSITIVE_INFINITY;
  const fresh = key !== over && age < FRESH_MS;
  useEffect(() => {
    if (!fresh) return undefined;
    const timer = setTimeout(() => setOver(key), FRESH_MS);
    return () => clearTimeout(timer);
  }, [key, fresh]);
  return fresh;
}

function noteOf({ change }: FeedItem, stages: readonly Stage[]): { text: string; tone: 'up' | 'down' | 'plain' } | null {
  switch (change.kind) {
    case 'added':
      return { text: 'new', tone: 'up' };
    case 'moved':
      return { text: `← ${stageName(stages, change.from)}`, tone: 'plain' };
    case 'valued': {
      const by = change.deal.value - change.from;
      return { text: `${by > 0 ? '+' : '−'}${money(Math.abs(by), change.deal.currency, true)}`, tone: by > 0 ? 'up' : 'down' };
    }
    case 'owner':
      return { text: 'new owner', tone: 'plain' };
    default:
      return null;
  }
}
