import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Need, needProgram, programNeed } from './available.ts';
import { type Certificate, makeCertificate } from './certificate.ts';
import { makeFolder } from './folder.ts';
import { freePort } from './ports.ts';
import { type RedisAddress, type RedisReply, redisCommand } from './redis-command.ts';
import { SingleServer, startIn } from './single-server.ts';

export type RedisOptions = {
  /** Writes every command to an append-only file, so that data survives `kill()`. Off unless told: memory only. */
  readonly persistent?: boolean;
  /** A user with all rights; then nobody else may connect. */
  readonly user?: { readonly name: string; readonly password: string };
  /** TLS only, with a certificate of its own. */
  readonly tls?: boolean;
  /** Further lines of redis.conf. */
  readonly config?: readonly string[];
};

export const redisNeed = (): Need | null => programNeed('redis-server', 'redis-server');

/** A private Redis on a free port of loopback. */
export class RedisService extends SingleServer {
  readonly port: number;
  /** `redis://` or `rediss://`, with the user where there is one. */
  readonly url: string;
  readonly certificate: Certificate | null;
  readonly #address: RedisAddress;

  private constructor(folder: string, port: number, options: RedisOptions, certificate: Certificate | null) {
    const address = { port, user: options.user ?? null, ca: certificate?.ca ?? null };
    super({
      name: 'redis',
      command: [needProgram('redis-server', 'redis-server'), join(folder, 'redis.conf')],
      folder,
      // While it reads its file it answers with LOADING, which is an error.
      ready: async () => void (await redisCommand(address, 'PING')),
    });
    this.port = port;
    this.certificate = certificate;
    this.#address = address;
    const login = options.user ? `${encodeURIComponent(options.user.name)}:${encodeURIComponent(options.user.password)}@` : '';
    this.url = `${certificate ? 'rediss' : 'redis'}://${login}127.0.0.1:${port}`;
  }

  static start(options: RedisOptions = {}): Promise<RedisService> {
    const folder = makeFolder('redis');
    return startIn(folder, async () => {
      const certificate = options.tls === true ? await makeCertificate(folder) : null;
      const port = await freePort();
      writeFileSync(join(folder, 'redis.conf'), configuration(folder, port, options, certificate));
      return new RedisService(folder, port, options, certificate);
    });
  }

  command(...command: readonly (string | number)[]): Promise<RedisReply> {
    return redisCommand(this.#address, ...command);
  }
}

/** A password may hold what the configuration's own quoting would stumble over. */
function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function configuration(folder: string, port: number, options: RedisOptions, certificate: Certificate | null): string {
  const lines = ['bind 127.0.0.1', `dir "${folder}"`, 'save ""', 'daemonize no', 'protected-mode no'];
  if (certificate) {
    lines.push('port 0', `tls-port ${port}`, `tls-cert-file "${certificate.certFile}"`, `tls-key-file "${certificate.keyFile}"`);
    lines.push(`tls-ca-cert-file "${certificate.certFile}"`, 'tls-auth-clients no', 'tls-replication yes');
  } else lines.push(`port ${port}`);
  if (options.persistent === true) lines.push('appendonly yes', 'appendfsync always');
  if (options.user) lines.push('user default off', `user ${options.user.name} on #${sha256(options.user.password)} ~* &* +@all`);
  return `${[...lines, ...(options.config ?? [])].join('\n')}\n`;
}
