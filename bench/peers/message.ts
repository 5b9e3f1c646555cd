import type { Deal } from '../lib/deals.ts';

/** As long as Millrace's cursors are, so that the bare broadcasters send messages of the same size. */
const CURSOR = 'c'.repeat(68);

/** What Millrace sends for `ALL_DEALS`, byte for byte but for the cursor. */
export function messageText(deal: Deal): string {
  const { id, title, account, value, stage, sent } = deal;
  const data = { dealEvent: { deal: { id, title, account, value, stage, sent } } };
  return JSON.stringify({ id: '1', type: 'next', payload: { data, extensions: { cursor: CURSOR } } });
}
