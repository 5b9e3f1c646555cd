import { backoffMs } from '../kit/backoff.ts';
import { type Clock, systemClock } from '../kit/clock.ts';
import { MillraceError, toMillraceError } from '../kit/errors.ts';
import { type Logger, silentLogger } from '../kit/log.ts';
import { Pauses } from '../kit/patience.ts';
import { type Random, systemRandom } from '../kit/random.ts';
import type { Release, SupergraphSource } from '../supergraph/release.ts';
import { registryErrors } from './errors.ts';
import type { RemoteReleasesMetrics } from './metrics.ts';
import { decodeRelease, encodeRelease } from './release-json.ts';
import { fetchRelease, followReleases, type RegistryAddress } from './remote-requests.ts';
import { readKeptRelease, writeKeptRelease } from './release-file.ts';

export type RemoteReleasesOptions = {
  /** Processes of one registry, each as good as the others. */
  readonly urls: readonly string[];
  /** A bearer token with the permission `registry:read`. */
  readonly token: string | null;
  /** Where the last good release is kept for a start without a registry. */
  readonly file: string;
  readonly metrics: RemoteReleasesMetrics;
  readonly log?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Ms to wait for the registry at the start before the kept release is served; and, where there is none, before going on without. */
  readonly patienceMs?: number;
  /** Ms without a byte after which a connection counts as dead. The registry sends a comment every 15 s. */
  readonly silenceMs?: number;
  /** Ms between two attempts at most. */
  readonly maxPauseMs?: number;
};

export const REMOTE_RELEASES_DEFAULTS = { patienceMs: 5_000, silenceMs: 45_000, maxPauseMs: 15_000 } as const;

export interface RemoteReleases extends SupergraphSource {
  /** The release at hand, for whoever needs it at once. */
  release(): Release | null;
  /** Nothing has been heard of any registry yet, and nothing was kept. */
  readonly waiting: boolean;
  close(): Promise<void>;
}

/**
 * The releases of a registry in other processes. It follows one of them over `GET /release/watch`, so that a push is known within a network
 * round trip; when that breaks it goes to the next. Whatever happens to the registry, the last good release stays: in memory, and in a file for the
 * next start. A release that does not give its digest, or that this version cannot read, is refused and told, and the last good one stays.
 */
export function openRemoteReleases(options: RemoteReleasesOptions): RemoteReleases {
  return new Follower(options);
}

class Follower implements RemoteReleases {
  readonly #options: RemoteReleasesOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #random: Random;
  readonly #addresses: readonly RegistryAddress[];
  readonly #listeners = new Set<(release: Release) => void | Promise<void>>();
  readonly #control = new AbortController();
  /** Of a registry, or that there is no use in waiting for one any longer. */
  readonly #heard = Promise.withResolvers<void>();
  readonly #pauses: Pauses;
  readonly #following: Promise<void>;
  #release: Release | null;
  #contact = false;
  #failures = 0;

  constructor(options: RemoteReleasesOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#pauses = new Pauses(this.#clock);
    this.#log = options.log ?? silentLogger;
    this.#random = options.random ?? systemRandom;
    const silenceMs = options.silenceMs ?? REMOTE_RELEASES_DEFAULTS.silenceMs;
    this.#addresses = options.urls.map((url) => ({ url, token: options.token, silenceMs, signal: this.#control.signal }));
    this.#release = this.#kept();
    this.#following = this.#follow();
  }

  get waiting(): boolean {
    return !this.#contact && this.#release === null;
  }

  release(): Release | null {
    return this.#release;
  }

  /** Waits for the registry, for so long as is bearable at a start; then what was kept must do. */
  async current(): Promise<Release | null> {
    const timer = this.#clock.after(this.#options.patienceMs ?? REMOTE_RELEASES_DEFAULTS.patienceMs, () => this.#heard.resolve());
    await this.#heard.promise;
    timer.cancel();
    return this.#release;
  }

  watch(onRelease: (release: Release) => void | Promise<void>): () => void {
    const own = (release: Release): void | Promise<void> => onRelease(release);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  async close(): Promise<void> {
    this.#control.abort();
    this.#pauses.end();
    await this.#following;
    this.#listeners.clear();
  }

  #kept(): Release | null {
    try {
      const text = readKeptRelease(this.#options.file);
      return text === null ? null : decodeRelease(text);
    } catch (thrown) {
      this.#log.warn({ file: this.#options.file, reason: toMillraceError(thrown).message }, 'the kept release cannot be used');
      return null;
    }
  }

  /** Never rejects. */
  async #follow(): Promise<void> {
    const { signal } = this.#control;
    for (let turn = this.#random.next() * this.#addresses.length; !signal.aborted; turn += 1) {
      const address = this.#addresses[Math.floor(turn) % this.#addresses.length]!;
      const reason = await this.#followOne(address);
      this.#options.metrics.connected.set(0);
      if (signal.aborted) return;
      this.#failures += 1;
      this.#options.metrics.failures.inc();
      const pause = this.#pause();
      // Once for each outage and address: it lasts, and the metric tells how long.
      const level = this.#failures <= this.#addresses.length ? 'warn' : 'debug';
      this.#log[level]({ registry: address.url, reason, pause }, 'the registry is not followed; the last good release is served');
      // With the first failure of each there is nothing more to hope for within the patience of a start.
      if (this.#failures >= this.#addresses.length && this.#release !== null) this.#heard.resolve();
      await this.#pauses.pause(pause);
    }
  }

  /** The next address is tried at once, and after the last of them there is a pause. */
  #pause(): number {
    const rounds = Math.floor(this.#failures / this.#addresses.length);
    if (this.#failures % this.#addresses.length !== 0) return 0;
    return backoffMs(rounds, { baseMs: 250, maxMs: this.#options.maxPauseMs ?? REMOTE_RELEASES_DEFAULTS.maxPauseMs }, this.#random);
  }

  /** Resolves to why it is over. */
  async #followOne(address: RegistryAddress): Promise<string> {
    try {
      const text = await fetchRelease(address, this.#release?.digest ?? null);
      if (text !== null) this.#take(text);
      this.#contact = true;
      this.#failures = 0;
      this.#heard.resolve();
      this.#options.metrics.connected.set(1);
      for await (const next of followReleases(address, this.#release?.digest ?? null)) this.#take(next);
      return 'the registry ended the stream';
    } catch (thrown) {
      const { code, message } = thrown instanceof MillraceError ? thrown : toMillraceError(thrown);
      return code === registryErrors.REGISTRY_UNREACHABLE.code ? message : `${code}: ${message}`;
    }
  }

  /** Throws RELEASE_INVALID. */
  #take(text: string): void {
    const release = decodeRelease(text);
    if (release.digest === this.#release?.digest) return;
    this.#release = release;
    this.#options.metrics.releases.inc();
    this.#log.info({ release: release.digest }, 'a release came from the registry');
    this.#keep(release);
    for (const listener of this.#listeners) void this.#tell(listener, release);
  }

  #keep(release: Release): void {
    try {
      writeKeptRelease(this.#options.file, encodeRelease(release));
    } catch (thrown) {
      this.#options.metrics.keepFailures.inc();
      this.#log.error({ err: thrown, file: this.#options.file }, 'the release could not be kept; a start without a registry would miss it');
    }
  }

  async #tell(listener: (release: Release) => void | Promise<void>, release: Release): Promise<void> {
    try {
      await listener(release);
    } catch (thrown) {
      this.#log.error({ err: thrown, release: release.digest }, 'a release listener failed');
    }
  }
}
