import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Need, needProgram, programNeed } from './available.ts';
import { makeFolder } from './folder.ts';
import { answersHttp } from './nginx.ts';
import { freePort } from './ports.ts';
import { SingleServer, startIn } from './single-server.ts';

export type PrometheusOptions = {
  /** prometheus.yml, given the folder for rule files. */
  readonly config: (folder: string) => string;
};

export const prometheusNeed = (): Need | null => programNeed('prometheus', 'prometheus');

/** A private Prometheus on a free port of loopback. */
export class PrometheusService extends SingleServer {
  readonly port: number;
  readonly url: string;

  private constructor(folder: string, port: number) {
    const url = `http://127.0.0.1:${port}`;
    super({
      name: 'prometheus',
      command: [
        needProgram('prometheus', 'prometheus'),
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      folder,
      ready: () => answersHttp(`${url}/-/ready`, 200),
    });
    this.port = port;
    this.url = url;
  }

  static start({ config }: PrometheusOptions): Promise<PrometheusService> {
    const folder = makeFolder('prometheus');
    return startIn(folder, async () => {
      writeFileSync(join(folder, 'prometheus.yml'), config(folder));
      return new PrometheusService(folder, await freePort());
    });
  }
}
