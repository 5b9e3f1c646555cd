import { type GraphQLObjectType, type GraphQLSchema, buildSchema } from 'graphql';
import { type Deal, PEER_SDL } from '../lib/deals.ts';
import type { PubSub } from './pubsub.ts';

type Args = { readonly filter?: { readonly value?: { readonly gte?: number | null } | null } | null };

export type DealEvent = { readonly action: string; readonly id: string; readonly deal: Deal };

export const eventOf = (deal: Deal): DealEvent => ({ action: deal.action, id: deal.id, deal });

/** The filter of one subscription as a predicate; null where there is none. */
export function predicateOf({ filter }: Args): ((event: DealEvent) => boolean) | null {
  const least = filter?.value?.gte ?? null;
  return least === null ? null : (event) => event.deal.value >= least;
}

/** The subscription as one writes it for graphql-js: resolvers of the root field, default resolvers below it. */
export function peerSchema(pubsub: PubSub<DealEvent>): GraphQLSchema {
  const schema = buildSchema(PEER_SDL);
  const field = (schema.getType('Subscription') as GraphQLObjectType).getFields()['dealEvent']!;
  field.subscribe = (_source, args: Args) => pubsub.subscribe(predicateOf(args));
  field.resolve = (event: DealEvent) => event;
  return schema;
}
