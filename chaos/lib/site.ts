import type { Send } from './producer.ts';

/** One installation of Millrace with everything around it, as a fault sees it. */
export type Site = AsyncDisposable & {
  /** Where clients connect, through whatever stands before the edges. */
  readonly edges: () => readonly string[];
  readonly send: Send;
  readonly token: (tenant: string, user: string) => Promise<string>;
};

export type Topology<S extends Site> = {
  readonly name: string;
  /** What of `tools/services` it needs. */
  readonly needs: readonly string[];
  /** `folder` is its own; whoever starts it removes it. */
  start(folder: string): Promise<S>;
};
