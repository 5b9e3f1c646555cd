/** graphql-ws on ws, as its documentation sets it up. argv: the URL of a subgraph that knows scores, where they are asked for. */
import { createServer } from 'node:http';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { announce, eventsDoor, LISTEN } from './http.ts';
import { PubSub } from './pubsub.ts';
import { type DealEvent, eventOf, peerSchema } from './schema.ts';

const pubsub = new PubSub<DealEvent>();
const server = createServer(eventsDoor((deal) => pubsub.publish(eventOf(deal))));
useServer({ schema: peerSchema(pubsub, process.argv[2] ?? null) }, new WebSocketServer({ server, path: '/graphql' }));
server.listen(LISTEN, () => announce(server));
