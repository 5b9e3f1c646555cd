import { WebSocket } from 'ws';
import { readGraphqlAnswer } from './graphql-answer.ts';
import type { Upstream, UpstreamSettings } from './upstream.ts';
import { isTree } from './response-tree.ts';

const SUBPROTOCOL = 'graphql-transport-ws';
const ID = '1';

/** One subscription over graphql-transport-ws (PROTOCOL.md of graphql-ws). The headers go with the upgrade and as connection_init payload. */
export function openWsUpstream(settings: UpstreamSettings): Upstream {
  return new WsUpstream(settings);
}

class WsUpstream implements Upstream {
  readonly #settings: UpstreamSettings;
  readonly #socket: WebSocket;
  #closed = false;

  constructor(settings: UpstreamSettings) {
    this.#settings = settings;
    const { url, request, clock, connectMs, messageBytesMax, queue } = settings;
    this.#socket = new WebSocket(url, SUBPROTOCOL, {
      headers: { ...request.headers },
      maxPayload: messageBytesMax,
      handshakeTimeout: connectMs,
    });
    const timer = clock.after(connectMs, () => this.#lose('was not acknowledged in time'));
    this.#socket.on('open', () => this.#send({ type: 'connection_init', payload: initPayload(request.headers) }));
    // The default binaryType of ws, which is never changed here, gives Buffers.
    this.#socket.on('message', (data) => this.#receive((data as Buffer).toString('utf8'), () => timer.cancel()));
    this.#socket.on('error', () => this.#lose('broke'));
    this.#socket.on('close', (code) => {
      timer.cancel();
      queue.lost(`was closed by the subgraph with code ${code}`);
    });
  }

  #send(message: Record<string, unknown>): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #receive(text: string, acknowledged: () => void): void {
    const message = parseMessage(text);
    if (!message) {
      this.#lose('sent a message that is not JSON');
      return;
    }
    const { queue, request } = this.#settings;
    const payload = message['payload'];
    switch (message['type']) {
      case 'connection_ack': {
        acknowledged();
        const { query, operationName } = request.operation;
        this.#send({ id: ID, type: 'subscribe', payload: { query, operationName, variables: JSON.parse(request.variables) as unknown } });
        return;
      }
      case 'ping':
        this.#send({ type: 'pong' });
        return;
      case 'next': {
        const answer = readGraphqlAnswer(payload);
        if (answer) queue.push(answer);
        else this.#lose('sent something that is no GraphQL result');
        return;
      }
      case 'error':
        queue.push({
          data: null,
          errors: Array.isArray(payload) && payload.length > 0 ? payload : [{ message: 'the subgraph refused the subscription' }],
        });
        queue.end();
        return;
      case 'complete':
        queue.end();
        return;
      default:
    }
  }

  #lose(what: string): void {
    this.#settings.queue.lost(what);
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#settings.queue.end();
    this.#send({ id: ID, type: 'complete' });
    this.#socket.close(1000);
    // A peer that never answers the closing handshake must not keep the socket.
    this.#settings.clock.after(1000, () => this.#socket.terminate());
  }
}

function initPayload(headers: Readonly<Record<string, string>>): Record<string, string> {
  const authorization = headers['authorization'];
  return authorization === undefined ? {} : { authorization };
}

function parseMessage(text: string): Record<string, unknown> | null {
  try {
    const message: unknown = JSON.parse(text);
    return isTree(message) ? message : null;
  } catch {
    return null;
  }
}
