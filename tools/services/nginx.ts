import { mkdirSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { type Need, needProgram, programNeed } from './available.ts';
import { makeFolder } from './folder.ts';
import { freePort } from './ports.ts';
import { SingleServer, startIn } from './single-server.ts';

export type NginxOptions = {
  /** What stands in `http { }`, given the port to listen on and the folder for files of its own. */
  readonly http: (port: number, folder: string) => string | Promise<string>;
  /** What stands in `events { }`. */
  readonly events?: string;
  /** What stands outside of all blocks. */
  readonly main?: string;
};

export const nginxNeed = (): Need | null => programNeed('nginx', 'nginx');

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** A private nginx in the foreground on a free port, with its temporary files in its own folder. */
export class NginxService extends SingleServer {
  readonly port: number;
  readonly url: string;

  private constructor(folder: string, port: number) {
    const program = needProgram('nginx', 'nginx');
    const url = `http://127.0.0.1:${port}`;
    super({
      name: 'nginx',
      command: [program, '-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')],
      folder,
      ready: () => answersHttp(`${url}/`),
    });
    this.port = port;
    this.url = url;
  }

  /** `nginx -s reload`: new workers take over, the old ones keep what they have until it closes. */
  reload(): void {
    this.process.signal('SIGHUP');
  }

  static start(options: NginxOptions): Promise<NginxService> {
    const folder = makeFolder('nginx');
    return startIn(folder, async () => {
      const port = await freePort();
      await writeConfiguration(folder, port, options);
      return new NginxService(folder, port);
    });
  }
}

async function writeConfiguration(folder: string, port: number, { http, events = '', main: further = '' }: NginxOptions): Promise<void> {
  mkdirSync(join(folder, 'temporary'));
  const paths = TEMPORARY.map((name) => `  ${name}_temp_path ${join(folder, 'temporary', name)};`).join('\n');
  const main = [`daemon off;`, `pid ${join(folder, 'nginx.pid')};`, `error_log ${join(folder, 'error.log')};`, further];
  // As root the workers would become www-data, which may not enter our folder.
  if (process.getuid?.() === 0) main.unshift('user root;');
  const config = `${main.join('\n')}\nevents { ${events} }\nhttp {\n${paths}\n  access_log off;\n${await http(port, folder)}\n}\n`;
  writeFileSync(join(folder, 'nginx.conf'), config);
}

/** Any answer will do; `status` demands one. */
export function answersHttp(url: string, status?: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, timeout: 5000 }, (response) => {
      response.resume();
      if (status === undefined || response.statusCode === status) resolve();
      else reject(new Error(`${url} answers ${response.statusCode}`));
    });
    request.once('timeout', () => request.destroy(new Error(`${url} does not answer`)));
    request.once('error', reject);
  });
}
