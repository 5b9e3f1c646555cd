/** graphql-ws on ws, as its documentation sets it up. */
import { createServer } from 'node:http';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { announce, eventsDoor, LISTEN } from './http.ts';
import { PubSub } from './pubsub.ts';
import { type DealEvent, eventOf, peerSchema } from './schema.ts';

const pubsub = new PubSub<DealEvent>();
const server = createServer(eventsDoor((deal) => pubsub.publish(eventOf(deal))));
useServer({ schema: peerSchema(pubsub) }, new WebSocketServer({ server, path: '/graphql' }));
server.listen(LISTEN, () => announce(server));
