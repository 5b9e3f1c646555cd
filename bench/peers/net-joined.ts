/** As `net.ts`, but what one request brings leaves in one write for each socket: the least that a server can do for a message. */
import { createServer as createHttp } from 'node:http';
import { serverFrame } from '../lib/frames.ts';
import { broadcaster } from './broadcaster.ts';
import { announce, LISTEN, requestsDoor } from './http.ts';
import { messageText } from './message.ts';

const { server, sockets } = broadcaster();
const door = createHttp(
  requestsDoor((deals) => {
    const frames = Buffer.concat(deals.map((deal) => serverFrame(messageText(deal))));
    for (const socket of sockets) socket.write(frames);
  }),
);
server.listen(LISTEN, () => door.listen(LISTEN, () => announce(door, 'net', server)));
