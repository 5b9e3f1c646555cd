import { readFileSync } from 'node:fs';
import { GraphQLError } from 'graphql';
import type { DealReader, DealRow } from './deal-store.ts';
import type { Subgraph } from './subgraph.ts';

/** How the new service tells the old one what to do: the monolith owns the data and publishes what becomes of it. */
export type MonolithCommands = {
  move(company: string, id: string, stageId: string): Promise<DealRow>;
  create(company: string, deal: { title: string; account: string; value: number; ownerId: string | null }): Promise<DealRow>;
  close(company: string, id: string, won: boolean): Promise<DealRow>;
};

/** Reads the monolith's own table, writes through the monolith: the usual first step of taking a monolith apart. */
export function dealsSubgraph(deals: DealReader, monolith: MonolithCommands): Subgraph {
  return {
    sdl: readFileSync(new URL('../schemas/deals.graphql', import.meta.url), 'utf8'),
    root: {
      deals: ({ stageId, first }, { tenant }) =>
        deals.list(tenant, stageId === undefined ? null : (stageId as string | null), firstOf(first)).map(toDeal),
      deal: ({ id }, { tenant }) => toDealOrNull(deals.get(tenant, id as string)),
      moveDeal: async ({ id, stageId }, { tenant }) => toDeal(await monolith.move(tenant, id as string, stageId as string)),
      createDeal: async (args, { tenant }) => toDeal(await monolith.create(tenant, newDealOf(args))),
      closeDeal: async ({ id, won }, { tenant }) => toDeal(await monolith.close(tenant, id as string, won as boolean)),
    },
    entities: {
      // Deleted ones too: the event that tells of a deletion still wants its stage and owner.
      Deal: ({ id }, { tenant }) => toDealOrNull(deals.get(tenant, String(id), { deletedToo: true })),
    },
  };
}

function toDeal(row: DealRow) {
  return {
    id: row.id,
    title: row.title,
    account: row.account,
    value: row.value,
    currency: row.currency,
    stageId: row.stage_id,
    ownerId: row.owner_id,
    rev: row.rev,
    updatedAt: row.updated_at,
    stage: { id: row.stage_id },
    owner: row.owner_id === null ? null : { id: row.owner_id },
  };
}

function toDealOrNull(row: DealRow | null) {
  return row ? toDeal(row) : null;
}

function firstOf(first: unknown): number {
  if (typeof first === 'number' && first >= 1 && first <= 500) return first;
  throw new GraphQLError(`first: expected 1 to 500, got ${String(first)}`, { extensions: { code: 'BAD_USER_INPUT' } });
}

function newDealOf(args: Readonly<Record<string, unknown>>) {
  return {
    title: args['title'] as string,
    account: args['account'] as string,
    value: args['value'] as number,
    ownerId: (args['ownerId'] as string | null | undefined) ?? null,
  };
}
