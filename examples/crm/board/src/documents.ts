import { gql } from 'urql';

export type Stage = { readonly id: string; readonly name: string; readonly probability: number; readonly kind: 'OPEN' | 'WON' | 'LOST' };
export type User = { readonly id: string; readonly name: string; readonly jobTitle: string };

export type DealData = {
  readonly id: string;
  readonly title: string;
  readonly account: string;
  readonly value: number | null;
  readonly currency: string;
  readonly stageId: string;
  readonly ownerId: string | null;
  readonly rev: number;
  readonly updatedAt: string;
  readonly stage: { readonly id: string; readonly name: string };
  readonly owner: { readonly id: string; readonly name: string } | null;
};

export type DealEventData = {
  readonly cursor: string;
  readonly action: 'SNAPSHOT' | 'ADDED' | 'CHANGED' | 'DELETED' | 'ENTERED' | 'LEFT' | 'GAP';
  readonly id: string | null;
  readonly at: string;
  /** The event as the monolith published it. */
  readonly raw: RawDeal | null;
  readonly delta: Readonly<Record<string, unknown>> | null;
  readonly missed: number | null;
  readonly deal: DealData | null;
};

export type RawDeal = {
  readonly id: string;
  readonly title: string;
  readonly account: string;
  readonly value: number;
  readonly currency: string;
  readonly stage_id: string;
  readonly owner_id: string | null;
  readonly rev: number;
  readonly updated_at: string;
  readonly changed_by?: string;
};

const DEAL_FIELDS = 'id title account value currency stageId ownerId rev updatedAt stage { id name } owner { id name }';

export const BOARD_QUERY = gql<{ stages: readonly Stage[]; users: readonly User[]; deals: readonly DealData[] }, Record<string, never>>(`
  query Board {
    stages { id name probability kind }
    users { id name jobTitle }
    deals { ${DEAL_FIELDS} }
  }
`);

/** Most fields travel with the event; `stage` and `owner` are fetched by Millrace while it passes. */
export const DEAL_EVENTS = gql<{ dealEvent: DealEventData }, { after?: string }>(`
  subscription DealEvents($after: Cursor) {
    dealEvent(after: $after) { cursor action id at raw delta missed deal { ${DEAL_FIELDS} } }
  }
`);

export const MOVE_DEAL = gql<{ moveDeal: DealData }, { id: string; stageId: string }>(`
  mutation MoveDeal($id: ID!, $stageId: ID!) { moveDeal(id: $id, stageId: $stageId) { ${DEAL_FIELDS} } }
`);

export const CREATE_DEAL = gql<{ createDeal: DealData }, { title: string; account: string; value: number; ownerId: string }>(`
  mutation CreateDeal($title: String!, $account: String!, $value: Float!, $ownerId: ID) {
    createDeal(title: $title, account: $account, value: $value, ownerId: $ownerId) { ${DEAL_FIELDS} }
  }
`);
