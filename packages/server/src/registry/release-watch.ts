import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Identity } from '../access/identity.ts';
import type { Timer } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import type { Release } from '../supergraph/release.ts';
import { registryErrors } from './errors.ts';
import type { Registry } from './registry.ts';
import { encodeRelease } from './release-json.ts';

export const WATCHERS_MAX = 1000;
const HEARTBEAT = 15_000;

/** Follows the releases over server-sent events. Normative: spec/registry-api.md, 5. */
export class ReleaseWatch {
  readonly #registry: Registry;
  readonly #watchers = new Set<Watcher>();
  readonly #stop: () => void;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#stop = registry.onRelease((release) => {
      const frame = releaseFrame(release);
      for (const watcher of this.#watchers) watcher.offer(frame);
    });
  }

  /** Throws WATCHERS_LIMIT. */
  open(req: IncomingMessage, res: ServerResponse, identity: Identity): void {
    if (this.#watchers.size >= WATCHERS_MAX)
      throw new MillraceError(registryErrors.WATCHERS_LIMIT, `${WATCHERS_MAX} connections follow the releases already`);
    res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    res.flushHeaders();
    const watcher = new Watcher(res, this.#registry, identity);
    this.#watchers.add(watcher);
    this.#registry.metrics.watchers.set(this.#watchers.size);
    res.once('close', () => {
      this.#watchers.delete(watcher);
      watcher.end();
      this.#registry.metrics.watchers.set(this.#watchers.size);
    });
    const current = this.#registry.release();
    if (current && req.headers['last-event-id'] !== current.digest) watcher.offer(releaseFrame(current));
  }

  close(): void {
    this.#stop();
    for (const watcher of this.#watchers) watcher.end();
  }
}

function releaseFrame(release: Release): string {
  // JSON text has no line breaks of its own, so one data line holds all of it.
  return `event: release\nid: ${release.digest}\ndata: ${encodeRelease(release)}\n\n`;
}

class Watcher {
  readonly #res: ServerResponse;
  readonly #registry: Registry;
  readonly #expiresAt: number | null;
  /** The newest release that the socket had no room for; older ones are of no use to anybody. */
  #next: string | null = null;
  #full = false;
  #timer: Timer | null = null;

  constructor(res: ServerResponse, registry: Registry, identity: Identity) {
    this.#res = res;
    this.#registry = registry;
    this.#expiresAt = identity.kind === 'user' ? identity.expiresAt : null;
    res.on('drain', () => this.#drained());
    // A socket that breaks while we write reports here; `close` follows and does the work.
    res.on('error', () => undefined);
    this.#beat();
  }

  offer(frame: string): void {
    if (this.#full) this.#next = frame;
    else this.#full = !this.#res.write(frame);
  }

  end(): void {
    this.#timer?.cancel();
    this.#res.end();
  }

  #drained(): void {
    this.#full = false;
    const next = this.#next;
    this.#next = null;
    if (next !== null) this.offer(next);
  }

  #beat(): void {
    const { clock } = this.#registry;
    const left = this.#expiresAt === null ? HEARTBEAT : this.#expiresAt - clock.now();
    if (left <= 0) return this.end();
    if (!this.#full) this.#res.write(':\n\n');
    this.#timer = clock.after(Math.min(HEARTBEAT, left), () => this.#beat());
  }
}
