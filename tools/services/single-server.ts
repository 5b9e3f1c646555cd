import { removeFolder } from './folder.ts';
import { ServerProcess, type ServerSpec } from './server-process.ts';

/** A service that is one process with one folder. */
export abstract class SingleServer implements AsyncDisposable {
  readonly folder: string;
  readonly process: ServerProcess;

  protected constructor(spec: ServerSpec) {
    this.folder = spec.folder;
    this.process = new ServerProcess(spec);
  }

  /** Starts what was killed, with the same data and ports. */
  start(): Promise<void> {
    return this.process.start();
  }

  /** The end of a crash. */
  kill(): Promise<void> {
    return this.process.kill();
  }

  /** An orderly end, and a start with the same data and ports. */
  restart(): Promise<void> {
    return this.process.restart();
  }

  /** The end, and nothing is left. */
  async stop(): Promise<void> {
    await this.process.stop();
    await removeFolder(this.folder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Starts what `make` makes in the folder. Where that fails, nothing is left. */
export async function startIn<T extends { start(): Promise<void> }>(folder: string, make: () => Promise<T>): Promise<T> {
  try {
    const service = await make();
    await service.start();
    return service;
  } catch (error) {
    await removeFolder(folder);
    throw error;
  }
}
