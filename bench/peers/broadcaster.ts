import { createServer, type Server, type Socket } from 'node:net';

/** Sockets of node:net that only listen. */
export function broadcaster(): { readonly server: Server; readonly sockets: ReadonlySet<Socket> } {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => void sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.resume();
  });
  return { server, sockets };
}
