/** ws alone: one text per event, sent to every socket, and no GraphQL at all. */
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { announce, eventsDoor, LISTEN } from './http.ts';
import { messageText } from './message.ts';

const server = createServer(
  eventsDoor((deal) => {
    const text = Buffer.from(messageText(deal));
    for (const client of sockets.clients) client.send(text, { binary: false });
  }),
);
const sockets = new WebSocketServer({ server, path: '/graphql' });
server.listen(LISTEN, () => announce(server));
