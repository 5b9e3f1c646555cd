import { useCallback, useEffect, useRef, useState } from 'react';
import type { BoardState } from './board-state.ts';
import { changeText } from './format.ts';

/** Others' changes are summed up this often: a voice that never stops says nothing. */
const SUMMARY_MS = 8_000;
const KEY = 'announce-changes';

export type AnnouncerState = {
  readonly text: string;
  /** For what the user does: at once. */
  say(text: string): void;
  readonly announcing: boolean;
  setAnnouncing(announcing: boolean): void;
};

export function useAnnouncer(state: BoardState): AnnouncerState {
  const [text, setText] = useState('');
  const [announcing, setAnnouncing] = useState(() => localStorage.getItem(KEY) !== 'no');
  const latest = useRef(state);
  const spoken = useRef(0);
  useEffect(() => {
    latest.current = state;
  }, [state]);
  useEffect(() => {
    localStorage.setItem(KEY, announcing ? 'yes' : 'no');
    if (!announcing) return undefined;
    const timer = setInterval(() => {
      const { feed, stages, events } = latest.current;
      const fresh = feed.slice(0, events - spoken.current);
      spoken.current = events;
      const [first] = fresh;
      if (!first) return;
      const one = first.change.kind === 'gap' ? changeText(first, stages) : `${first.change.deal.title} ${changeText(first, stages)}`;
      setText(fresh.length === 1 ? one : `${fresh.length} changes. The latest: ${one}`);
    }, SUMMARY_MS);
    return () => clearInterval(timer);
  }, [announcing]);
  const say = useCallback((next: string) => setText(next), []);
  return { text, say, announcing, setAnnouncing };
}

export function Announcer({ text }: { readonly text: string }) {
  return (
    <p className="visually-hidden" aria-live="polite" data-testid="announcer">
      {text}
    </p>
  );
}
