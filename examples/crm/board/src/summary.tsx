import type { BoardState, Deal } from './board-state.ts';
import { money } from './format.ts';

/** The figures that a sales meeting starts with. */
export function Summary({ state }: { readonly state: BoardState }) {
  const stages = new Map(state.stages.map((stage) => [stage.id, stage]));
  const deals = [...state.deals.values()];
  const open = deals.filter((deal) => stages.get(deal.stageId)?.kind === 'OPEN');
  const won = deals.filter((deal) => stages.get(deal.stageId)?.kind === 'WON');
  const currency = deals[0]?.currency ?? 'EUR';
  const sum = (list: readonly Deal[], weigh = (_: Deal): number => 1): number =>
    list.reduce((total, deal) => total + deal.value * weigh(deal), 0);
  const figures = [
    ['Open pipeline', money(sum(open), currency, true), `${open.length} deals`],
    [
      'Weighted forecast',
      money(
        sum(open, (deal) => stages.get(deal.stageId)?.probability ?? 0),
        currency,
        true,
      ),
      'by chance of winning',
    ],
    ['Won on this board', money(sum(won), currency, true), `${won.length} deals`],
    ['Changes received', `${state.events}`, 'since this page opened'],
  ] as const;
  return (
    <dl className="summary" aria-label="Summary">
      {figures.map(([label, value, note]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>
            {state.deals.size === 0 && !state.loaded ? '–' : value} <small>{note}</small>
          </dd>
        </div>
      ))}
    </dl>
  );
}
