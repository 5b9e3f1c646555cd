import { type GraphQLObjectType, type GraphQLSchema, buildSchema } from 'graphql';
import { type Deal, PEER_SDL } from '../lib/deals.ts';
import type { PubSub } from './pubsub.ts';
import { scoresFrom } from './scores.ts';

type FloatFilter = { readonly eq?: number | null; readonly gte?: number | null };
type Args = { readonly filter?: { readonly value?: FloatFilter | null } | null };

export type DealEvent = { readonly action: string; readonly id: string; readonly deal: Deal };

export const eventOf = (deal: Deal): DealEvent => ({ action: deal.action, id: deal.id, deal });

/** The filter of one subscription as a predicate; null where there is none. */
export function predicateOf({ filter }: Args): ((event: DealEvent) => boolean) | null {
  const { eq = null, gte = null } = filter?.value ?? {};
  if (eq !== null) return (event) => event.deal.value === eq;
  return gte === null ? null : (event) => event.deal.value >= gte;
}

/** The subscription as one writes it for graphql-js: resolvers of the root field, default resolvers below it. `scores`: a subgraph's URL. */
export function peerSchema(pubsub: PubSub<DealEvent>, scores: string | null = null): GraphQLSchema {
  const schema = buildSchema(PEER_SDL);
  const field = (schema.getType('Subscription') as GraphQLObjectType).getFields()['dealEvent']!;
  field.subscribe = (_source, args: Args) => pubsub.subscribe(predicateOf(args));
  field.resolve = (event: DealEvent) => event;
  if (scores !== null) {
    const score = (schema.getType('Deal') as GraphQLObjectType).getFields()['score']!;
    const scoreOf = scoresFrom(scores);
    score.resolve = ({ id }: Deal) => scoreOf(id);
  }
  return schema;
}
