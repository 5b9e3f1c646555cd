import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Need, needProgram, programNeed } from './available.ts';
import { makeFolder, removeFolder } from './folder.ts';
import { answersHttp } from './nginx.ts';
import { freePort } from './ports.ts';
import { ServerProcess } from './server-process.ts';

export type PrometheusOptions = {
  /** prometheus.yml, given the folder for rule files. */
  readonly config: (folder: string) => string;
};

export const prometheusNeed = (): Need | null => programNeed('prometheus', 'prometheus');

/** A private Prometheus on a free port of loopback. */
export class PrometheusService implements AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  readonly url: string;
  readonly process: ServerProcess;

  private constructor(folder: string, port: number, { config }: PrometheusOptions) {
    this.folder = folder;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    const file = join(folder, 'prometheus.yml');
    writeFileSync(file, config(folder));
    const data = join(folder, 'data');
    this.process = new ServerProcess({
      name: 'prometheus',
      command: [
        needProgram('prometheus', 'prometheus'),
        `--config.file=${file}`,
        `--storage.tsdb.path=${data}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      folder,
      ready: () => answersHttp(`${this.url}/-/ready`, 200),
    });
  }

  static async start(options: PrometheusOptions): Promise<PrometheusService> {
    const folder = makeFolder('prometheus');
    try {
      const service = new PrometheusService(folder, await freePort(), options);
      await service.process.start();
      return service;
    } catch (error) {
      await removeFolder(folder);
      throw error;
    }
  }

  kill(): Promise<void> {
    return this.process.kill();
  }

  restart(): Promise<void> {
    return this.process.restart();
  }

  async stop(): Promise<void> {
    await this.process.kill();
    await removeFolder(this.folder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
