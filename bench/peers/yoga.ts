/** GraphQL Yoga with subscriptions over graphql-ws, as its documentation sets it up. */
import { createServer } from 'node:http';
import type { ExecutionArgs, execute, GraphQLSchema, parse, subscribe, validate } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { createYoga } from 'graphql-yoga';
import { WebSocketServer } from 'ws';
import { announce, eventsDoor, LISTEN } from './http.ts';
import { PubSub } from './pubsub.ts';
import { type DealEvent, eventOf, peerSchema } from './schema.ts';

const pubsub = new PubSub<DealEvent>();
const door = eventsDoor((deal) => pubsub.publish(eventOf(deal)));
const yoga = createYoga({ schema: peerSchema(pubsub), logging: false });
const server = createServer((req, res) => (req.url === '/events' ? door(req, res) : void yoga(req, res)));

type Enveloped = {
  readonly schema: GraphQLSchema;
  readonly execute: typeof execute;
  readonly subscribe: typeof subscribe;
  readonly contextFactory: () => Promise<unknown>;
  readonly parse: typeof parse;
  readonly validate: typeof validate;
};
type Root = { readonly execute: typeof execute; readonly subscribe: typeof subscribe };

useServer(
  {
    execute: (args) => (args.rootValue as Root).execute(args),
    subscribe: (args) => (args.rootValue as Root).subscribe(args),
    async onSubscribe(context, _id, params) {
      const enveloped = yoga.getEnveloped({ ...context, req: context.extra.request, socket: context.extra.socket, params }) as Enveloped;
      const args = {
        schema: enveloped.schema,
        operationName: params.operationName,
        document: enveloped.parse(params.query),
        variableValues: params.variables,
        contextValue: await enveloped.contextFactory(),
        rootValue: { execute: enveloped.execute, subscribe: enveloped.subscribe },
      };
      const errors = enveloped.validate(args.schema, args.document);
      return errors.length > 0 ? errors : (args as ExecutionArgs);
    },
  },
  new WebSocketServer({ server, path: '/graphql' }),
);
server.listen(LISTEN, () => announce(server));
