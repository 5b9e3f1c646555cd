import type { FeedItem } from './board-state.ts';
import type { Stage, User } from './documents.ts';

const formats = new Map<string, Intl.NumberFormat>();

/** `€48,000`; `short`: `€48K`. */
export function money(value: number, currency: string, short = false): string {
  const key = `${currency}/${short}`;
  let format = formats.get(key);
  if (!format) {
    const precision = short ? { notation: 'compact' as const, maximumFractionDigits: 1 } : { maximumFractionDigits: 0 };
    format = new Intl.NumberFormat('en', { style: 'currency', currency, currencyDisplay: 'narrowSymbol', ...precision });
    formats.set(key, format);
  }
  return format.format(value);
}

export function initials(name: string): string {
  const words = name.split(/\s+/);
  return `${words[0]?.[0] ?? ''}${words.length > 1 ? (words.at(-1)?.[0] ?? '') : ''}`.toUpperCase();
}

/** A steady colour for a name. */
export function hue(name: string): number {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + letter.charCodeAt(0)) % 997;
  return (hash * 137) % 360;
}

export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 2) return 'now';
  if (seconds < 60) return `${seconds} s`;
  return seconds < 3_600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3_600)} h`;
}

export function stageName(stages: readonly Stage[], id: string): string {
  return stages.find((stage) => stage.id === id)?.name ?? id;
}

/** What happened, without who did it: "moved to Proposal". */
export function changeText({ change }: FeedItem, stages: readonly Stage[]): string {
  switch (change.kind) {
    case 'added':
      return `is new, ${money(change.deal.value, change.deal.currency)}`;
    case 'moved':
      return `moved from ${stageName(stages, change.from)} to ${stageName(stages, change.deal.stageId)}`;
    case 'valued':
      return `went from ${money(change.from, change.deal.currency)} to ${money(change.deal.value, change.deal.currency)}`;
    case 'owner':
      return `is now with ${change.deal.ownerName ?? 'nobody'}`;
    case 'edited':
      return 'was edited';
    case 'deleted':
      return 'was removed';
    case 'gap':
      return change.missed === null
        ? 'Some changes were missed; the board was read anew'
        : `${change.missed} changes were missed; the board was read anew`;
  }
}

export function actorName(by: string | null, users: readonly User[]): string | null {
  if (by === 'archive') return 'Archive';
  if (by === 'board') return 'On the board';
  return users.find((user) => user.id === by)?.name ?? null;
}
