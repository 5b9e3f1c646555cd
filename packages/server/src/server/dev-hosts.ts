import type { IncomingHttpHeaders, IncomingMessage, RequestListener } from 'node:http';
import type { Duplex } from 'node:stream';
import { MillraceError } from '../kit/errors.ts';
import { refuseUpgrade, sendText } from '../kit/http-message.ts';
import { isLoopbackHost } from '../kit/loopback.ts';
import type { Config } from './config.ts';
import { serverErrors } from './errors.ts';

/**
 * In dev mode only requests to a name of this machine are served. A page of evil.example whose name is made to lead to 127.0.0.1 (DNS
 * rebinding) is of the same origin as our ports to the browser: it could make itself a dev token, whose secret everybody knows, and read and
 * change whatever a developer runs. Its requests carry its own name in `Host`, which the page cannot change.
 */
export class DevHosts {
  /** Null: every name is served. Outside dev the names of a server are not known, and no token is known to everybody. */
  readonly #also: ReadonlySet<string> | null;

  constructor({ mode, transports }: Pick<Config, 'mode' | 'transports'>) {
    const origins = transports.allowedOrigins;
    this.#also = mode !== 'dev' || origins.includes('*') ? null : new Set(origins.map((origin) => URL.parse(origin)?.hostname ?? ''));
  }

  guard(handler: RequestListener): RequestListener {
    return (req, res) => {
      const refusal = this.#refusal(req.headers);
      if (refusal === null) return handler(req, res);
      sendText(res, refusal.spec.http, 'application/json', bodyOf(refusal), { connection: 'close' });
    };
  }

  /** True: the request has been refused. */
  refusesUpgrade(req: IncomingMessage, socket: Duplex): boolean {
    const refusal = this.#refusal(req.headers);
    if (refusal !== null) refuseUpgrade(socket, refusal.spec.http, 'application/json', bodyOf(refusal));
    return refusal !== null;
  }

  #refusal({ host }: IncomingHttpHeaders): MillraceError | null {
    // Without Host (HTTP/1.0) it is no browser.
    if (this.#also === null || host === undefined) return null;
    const name = URL.parse(`http://${host}`)?.hostname ?? '';
    if (isThisMachine(name) || this.#also.has(name)) return null;
    return new MillraceError(
      serverErrors.HOST_NOT_SERVED,
      `dev mode serves localhost and 127.0.0.1, not ${JSON.stringify(name.slice(0, 100))}; to allow a name, add its origin to transports.allowedOrigins`,
    );
  }
}

/** Also the names by which containers call the machine that they run on. */
function isThisMachine(name: string): boolean {
  return isLoopbackHost(name) || name === 'host.docker.internal' || name === 'host.containers.internal';
}

function bodyOf({ code, message }: MillraceError): string {
  return JSON.stringify({ error: { code, message } });
}
