import type { Deal } from '../lib/deals.ts';
import { eventOf } from './schema.ts';

/** The message that a GraphQL peer would send for `ALL_DEALS`. */
export function messageText(deal: Deal): string {
  const { id, title, account, value, stage, sent } = deal;
  const event = eventOf(deal);
  const data = { dealEvent: { action: event.action, id: event.id, deal: { id, title, account, value, stage, sent } } };
  return JSON.stringify({ id: '1', type: 'next', payload: { data } });
}
