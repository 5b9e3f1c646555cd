import { type CSSProperties, type DragEvent, useRef, useState } from 'react';
import { type BoardState, type Deal, shownIn } from './board-state.ts';
import { DealCard } from './deal-card.tsx';
import type { Stage } from './documents.ts';
import { money, stageName } from './format.ts';
import { useGlide } from './use-glide.ts';

/** A card that was picked up with the keyboard, and the stage it is held over. */
export type Carried = { readonly id: string; readonly to: string };

type Props = {
  readonly state: BoardState;
  readonly stale: boolean;
  dealsIn(stageId: string, carried: Carried | null): Deal[];
  onMove(id: string, stageId: string): void;
  say(text: string): void;
};

export function Columns({ state, stale, dealsIn, onMove, say }: Props) {
  const [carried, setCarried] = useState<Carried | null>(null);
  const [active, setActive] = useState<string | null>(null);
  const [over, setOver] = useState<string | null>(null);
  const container = useRef<HTMLDivElement>(null);
  const columns = state.stages.map((stage) => ({ stage, deals: dealsIn(stage.id, carried) }));
  const first = columns.find((column) => column.deals.length > 0)?.deals[0]?.id ?? null;
  const focusable = active !== null && state.deals.has(active) ? active : first;
  useGlide(container, focusable);

  const move = (deal: Deal, stageId: string): void => {
    if (stageId === shownIn(state, deal, null)) return;
    onMove(deal.id, stageId);
    say(`${deal.title} moved to ${stageName(state.stages, stageId)}`);
  };
  const keys = { columns, carried, setCarried, setActive, move, say };

  return (
    <div className="columns" ref={container} data-stale={stale} style={{ '--columns': columns.length } as CSSProperties}>
      <p id="card-help" className="visually-hidden">
        Arrow keys go from card to card. Space picks a card up; left and right choose a stage, Space puts it down, Escape puts it back.
      </p>
      {!state.loaded && columns.length === 0 && <Skeleton />}
      {columns.map(({ stage, deals }) => (
        <Column
          key={stage.id}
          stage={stage}
          deals={deals}
          over={over === stage.id}
          onOver={setOver}
          onDrop={(id) => dropOn(state, id, stage, move)}
        >
          {deals.map((deal) => (
            <DealCard
              key={deal.id}
              deal={deal}
              stages={state.stages}
              stageId={stage.id}
              change={state.feed.find((item) => item.change.kind !== 'gap' && item.change.deal.id === deal.id)}
              carried={carried?.id === deal.id}
              waiting={state.moving.has(deal.id)}
              focusable={deal.id === focusable}
              onFocus={() => {
                setActive(deal.id);
                if (carried && carried.id !== deal.id) setCarried(null);
              }}
              onKey={(event) => handleKey(event, deal, keys)}
              onPick={(stageId) => move(deal, stageId)}
            />
          ))}
        </Column>
      ))}
    </div>
  );
}

function dropOn(state: BoardState, id: string, stage: Stage, move: (deal: Deal, stageId: string) => void): void {
  const deal = state.deals.get(id);
  if (deal) move(deal, stage.id);
}

type ColumnProps = {
  readonly stage: Stage;
  readonly deals: readonly Deal[];
  readonly over: boolean;
  readonly onOver: (stageId: string | null) => void;
  readonly onDrop: (id: string) => void;
  readonly children: React.ReactNode;
};

function Column({ stage, deals, over, onOver, onDrop, children }: ColumnProps) {
  const total = money(
    deals.reduce((sum, deal) => sum + deal.value, 0),
    deals[0]?.currency ?? 'EUR',
    true,
  );
  const allow = (event: DragEvent): void => {
    event.preventDefault();
    event.dataTransfer.dropEffect = 'move';
    if (!over) onOver(stage.id);
  };
  return (
    <section
      className="column"
      data-kind={stage.kind}
      data-over={over}
      data-stage={stage.id}
      aria-labelledby={`stage-${stage.id}`}
      onDragOver={allow}
      onDragLeave={(event) => !event.currentTarget.contains(event.relatedTarget as Node | null) && onOver(null)}
      onDrop={(event) => {
        event.preventDefault();
        onOver(null);
        onDrop(event.dataTransfer.getData('text/plain'));
      }}
    >
      <header>
        <h2 id={`stage-${stage.id}`}>{stage.name}</h2>
        <span className="count" aria-label={`${deals.length} deals`}>
          {deals.length}
        </span>
        <span className="total">{deals.length > 0 ? total : ''}</span>
      </header>
      <ul>{children}</ul>
      {deals.length === 0 && <p className="empty">No deals</p>}
    </section>
  );
}

type Keys = {
  readonly columns: readonly { readonly stage: Stage; readonly deals: readonly Deal[] }[];
  readonly carried: Carried | null;
  setCarried(carried: Carried | null): void;
  setActive(id: string): void;
  move(deal: Deal, stageId: string): void;
  say(text: string): void;
};

function handleKey(event: React.KeyboardEvent, deal: Deal, keys: Keys): void {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const handled = keys.carried?.id === deal.id ? carryKey(event.key, deal, keys, keys.carried) : walkKey(event.key, deal, keys);
  if (handled) event.preventDefault();
}

function carryKey(key: string, deal: Deal, keys: Keys, carried: Carried): boolean {
  const at = keys.columns.findIndex(({ stage }) => stage.id === carried.to);
  if (key === 'ArrowLeft' || key === 'ArrowRight') {
    const next = keys.columns[at + (key === 'ArrowLeft' ? -1 : 1)]?.stage;
    if (next) keys.setCarried({ id: deal.id, to: next.id });
    keys.say(
      next
        ? `${next.name}, ${keys.columns.findIndex(({ stage }) => stage === next) + 1} of ${keys.columns.length}`
        : 'No stage on that side',
    );
    return true;
  }
  if (key === ' ' || key === 'Enter') {
    keys.setCarried(null);
    if (carried.to === deal.stageId) keys.say(`${deal.title} stays where it was`);
    else keys.move(deal, carried.to);
    return true;
  }
  if (key === 'Escape') {
    keys.setCarried(null);
    keys.say(`${deal.title} put back`);
  }
  return key === 'Escape' || key === 'ArrowUp' || key === 'ArrowDown';
}

function walkKey(key: string, deal: Deal, keys: Keys): boolean {
  const column = keys.columns.findIndex(({ deals }) => deals.some(({ id }) => id === deal.id));
  const row = keys.columns[column]?.deals.findIndex(({ id }) => id === deal.id) ?? 0;
  if (key === ' ' || key === 'Enter') {
    keys.setCarried({ id: deal.id, to: keys.columns[column]?.stage.id ?? deal.stageId });
    keys.say(`${deal.title} picked up in ${keys.columns[column]?.stage.name ?? ''}. Left and right choose a stage, Space puts it down.`);
    return true;
  }
  const target = neighbour(key, column, row, keys.columns);
  if (target) focusCard(target.id);
  return target !== null;
}

function neighbour(key: string, column: number, row: number, columns: Keys['columns']): Deal | null {
  const deals = columns[column]?.deals ?? [];
  if (key === 'ArrowUp') return deals[row - 1] ?? null;
  if (key === 'ArrowDown') return deals[row + 1] ?? null;
  if (key === 'Home') return deals[0] ?? null;
  if (key === 'End') return deals.at(-1) ?? null;
  const step = key === 'ArrowLeft' ? -1 : key === 'ArrowRight' ? 1 : 0;
  for (let at = column + step; step !== 0 && columns[at]; at += step) {
    const there = columns[at]?.deals ?? [];
    if (there.length > 0) return there[Math.min(row, there.length - 1)] ?? null;
  }
  return null;
}

function focusCard(id: string): void {
  document.querySelector<HTMLElement>(`[data-deal="${CSS.escape(id)}"] .grip`)?.focus();
}

function Skeleton() {
  return (
    <>
      {Array.from({ length: 6 }, (_, i) => (
        <div className="column skeleton" key={i} aria-hidden="true" />
      ))}
    </>
  );
}
