/** node:net alone: a frame is built once per event and written to every socket. What a program on Node's streams can do at best. */
import { createServer as createHttp } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { serverFrame } from '../lib/frames.ts';
import { announce, eventsDoor, LISTEN } from './http.ts';
import { messageText } from './message.ts';

const sockets = new Set<Socket>();
const clients = createServer({ noDelay: true }, (socket) => {
  sockets.add(socket);
  socket.on('close', () => void sockets.delete(socket));
  socket.on('error', () => socket.destroy());
  socket.resume();
});
const door = createHttp(
  eventsDoor((deal) => {
    const frame = serverFrame(messageText(deal));
    for (const socket of sockets) socket.write(frame);
  }),
);
clients.listen(LISTEN, () => door.listen(LISTEN, () => announce(door, 'net', clients)));
