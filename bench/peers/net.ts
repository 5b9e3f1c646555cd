/** node:net alone: a frame is built once per event and written to every socket. What a program on Node's streams can do at best. */
import { createServer as createHttp } from 'node:http';
import { serverFrame } from '../lib/frames.ts';
import { broadcaster } from './broadcaster.ts';
import { announce, eventsDoor, LISTEN } from './http.ts';
import { messageText } from './message.ts';

const { server, sockets } = broadcaster();
const door = createHttp(
  eventsDoor((deal) => {
    const frame = serverFrame(messageText(deal));
    for (const socket of sockets) socket.write(frame);
  }),
);
server.listen(LISTEN, () => door.listen(LISTEN, () => announce(door, 'net', server)));
