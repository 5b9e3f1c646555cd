/** Mercurius on Fastify with subscriptions, and its own pub/sub. */
import Fastify from 'fastify';
import mercurius from 'mercurius';
import { type Deal, PEER_SDL } from '../lib/deals.ts';
import { announce, LISTEN } from './http.ts';
import { type DealEvent, eventOf } from './schema.ts';

const app = Fastify();
type Context = { readonly pubsub: { subscribe(topic: string): Promise<AsyncIterator<DealEvent>> } };

await app.register(mercurius, {
  schema: PEER_SDL,
  resolvers: {
    Subscription: {
      dealEvent: {
        subscribe: (_root: unknown, _args: unknown, { pubsub }: Context) => pubsub.subscribe('deals'),
        resolve: (event: DealEvent) => event,
      },
    },
  },
  subscription: true,
});

app.post('/events', (request, reply) => {
  const body = request.body as Deal | readonly Deal[];
  for (const deal of Array.isArray(body) ? (body as readonly Deal[]) : [body as Deal]) {
    // Mercurius would have the payload shaped like the root field; `resolve` above takes it as it is.
    app.graphql.pubsub.publish({ topic: 'deals', payload: eventOf(deal) as never });
  }
  return reply.code(202).send();
});

await app.listen(LISTEN);
announce(app.server);
