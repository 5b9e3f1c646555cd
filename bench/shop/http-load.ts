import { type Socket, connect } from 'node:net';

/**
 * A closed loop over keep-alive connections: each sends its next request when the answer to the last is there. Runs in a process of its
 * own; the parent sends a `LoadJob`, and gets a `LoadResult`. Raw sockets, and of an answer only its length and status are read.
 */
export type LoadJob = {
  readonly url: string;
  readonly connections: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent in turn, so that no two requests need be alike. `#` becomes a number that is never used twice. */
  readonly bodies: readonly string[];
  /** Requests in all. */
  readonly requests: number;
};

export type LoadResult = {
  readonly seconds: number;
  readonly answers: number;
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
  /** The first answer that was not 2xx, or one that named errors; null: there was none. */
  readonly failure: string | null;
};

let serial = 0;

async function run(job: LoadJob): Promise<LoadResult> {
  const sockets = await Promise.all(Array.from({ length: job.connections }, () => open(new URL(job.url))));
  const latencies = new Float64Array(job.requests);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let sent = 0;
  let answers = 0;
  let failure: string | null = null;
  const heads = requestHeads(job);
  const next = (connection: Connection): void => {
    if (sent === job.requests) return;
    const nth = sent++ % job.bodies.length;
    const body = job.bodies[nth]!.includes('#')
      ? job.bodies[nth]!.replaceAll('#', () => String(++serial).padStart(12, '0'))
      : job.bodies[nth]!;
    connection.start = performance.now();
    connection.socket.write(`${heads[nth]!}${body.length}\r\n\r\n${body}`, 'latin1');
  };
  for (const connection of sockets) {
    connection.socket.on('error', reject);
    connection.socket.on('close', () => reject(new Error('the server closed a connection')));
    connection.socket.on('data', (chunk) => {
      const done = read(connection, chunk);
      if (done === null) return;
      if (failure === null && (!done.startsWith('HTTP/1.1 2') || done.includes('{"errors"') || done.includes('"rejected"')))
        failure = done.slice(0, 600);
      latencies[answers++] = (performance.now() - connection.start) * 1000;
      if (answers === job.requests) resolve();
      else next(connection);
    });
  }
  const start = performance.now();
  for (const connection of sockets) next(connection);
  await promise;
  const seconds = (performance.now() - start) / 1000;
  for (const { socket } of sockets) socket.removeAllListeners('close').destroy();
  latencies.sort();
  const at = (share: number): number => latencies[Math.min(answers - 1, Math.floor(share * answers))]!;
  return { seconds, answers, p50: at(0.5), p99: at(0.99), failure };
}

function requestHeads(job: LoadJob): readonly string[] {
  const { host, pathname, search } = new URL(job.url);
  const lines = Object.entries({ Host: host, 'Content-Type': 'application/json', ...job.headers });
  const head = `POST ${pathname}${search} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}Content-Length: `;
  return job.bodies.map(() => head);
}

type Connection = { readonly socket: Socket; waiting: string; start: number };

function open(url: URL): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.removeListener('error', reject);
      resolve({ socket, waiting: '', start: 0 });
    });
  });
}

const LENGTH = /\r\ncontent-length: *(\d+)/i;

/** The whole answer when it is there, else null. Answers with `Transfer-Encoding: chunked` end with their last chunk. */
function read(connection: Connection, chunk: Buffer | string): string | null {
  const text = connection.waiting === '' ? chunk.toString('latin1') : connection.waiting + chunk.toString('latin1');
  const head = text.indexOf('\r\n\r\n');
  const length = head < 0 ? null : LENGTH.exec(text.slice(0, head));
  const complete = head >= 0 && (length ? text.length >= head + 4 + Number(length[1]) : text.endsWith('\r\n0\r\n\r\n'));
  connection.waiting = complete ? '' : text;
  return complete ? text : null;
}

if (process.send) {
  process.on('message', (job: LoadJob) => {
    run(job).then(
      (result) => process.send!(result),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        process.exit(1);
      },
    );
  });
}
