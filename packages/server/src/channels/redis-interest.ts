import type { Clock } from '../kit/clock.ts';
import type { Reply } from './redis-connection.ts';
import type { InterestNote } from './redis-messages.ts';

export type PictureState =
  /** Nothing is known. */
  | { readonly kind: 'blind' }
  /** Being read; notes that arrive meanwhile wait. */
  | { readonly kind: 'reading'; readonly waiting: InterestNote[] }
  /** Names are right for `version` of `run`. */
  | {
      readonly kind: 'known';
      readonly run: string;
      version: number;
      readonly names: Set<string>;
      leaseEnd: number;
      behindSince: number | null;
    };

/** Notes that wait while a picture is read; more, and it is read again. */
const MAX_WAITING = 10_000;

/**
 * What one publisher knows about who is listened to in one partition: a set of names, right as of a version, believed until its lease
 * ends. Pure: the caller reads, renews and tells of notes.
 *
 * - **I1** `includes` is false only for a channel that is in no version up to the one seen, while the lease lasts.
 * - **I2** The version seen grows only by the note that follows it, or by reading.
 */
export class Picture {
  readonly #clock: Clock;
  #state: PictureState = { kind: 'blind' };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#state.kind === 'known' ? this.#state.names.size : 0;
  }

  /** True also where it cannot be told. */
  includes(name: string): boolean {
    const state = this.#state;
    return state.kind !== 'known' || this.#clock.monotonic() >= state.leaseEnd || state.names.has(name);
  }

  get usable(): boolean {
    return this.#state.kind === 'known' && this.#clock.monotonic() < this.#state.leaseEnd;
  }

  /** Run and version for a renewal; null where the picture must be read. */
  get seen(): { readonly run: string; readonly version: number } | null {
    return this.#state.kind === 'known' ? { run: this.#state.run, version: this.#state.version } : null;
  }

  get isReading(): boolean {
    return this.#state.kind === 'reading';
  }

  forget(): void {
    this.#state = { kind: 'blind' };
  }

  beginReading(): void {
    this.#state = { kind: 'reading', waiting: [] };
  }

  /** `leaseEnd` on the monotonic clock, counted from before the question was sent. */
  read(run: string, version: number, names: readonly string[], leaseEnd: number): void {
    if (this.#state.kind !== 'reading') return;
    const { waiting } = this.#state;
    this.#state = { kind: 'known', run, version, names: new Set(names), leaseEnd, behindSince: null };
    for (const note of waiting) this.note(note);
  }

  /** Redis stands at `version`. False: a note that was due did not come from one renewal to the next, so the picture is forgotten. */
  renewed(version: number, leaseEnd: number): boolean {
    const state = this.#state;
    if (state.kind !== 'known') return true;
    if (state.behindSince !== null && state.version < state.behindSince) {
      this.forget();
      return false;
    }
    state.behindSince = version > state.version ? version : null;
    state.leaseEnd = leaseEnd;
    return true;
  }

  /** True where the picture comes to another version by it, now or when it has been read, or is forgotten because a note is missing. */
  note(note: InterestNote): boolean {
    const state = this.#state;
    if (state.kind === 'reading') {
      if (state.waiting.length < MAX_WAITING) state.waiting.push(note);
      else this.forget();
      return true;
    }
    if (state.kind !== 'known' || note.version <= state.version) return false;
    if (note.version !== state.version + 1) {
      this.forget();
      return true;
    }
    for (const name of note.names) {
      if (note.kind === 'added') state.names.add(name);
      else state.names.delete(name);
    }
    state.version = note.version;
    return true;
  }
}

export type WatchReply =
  | { readonly kind: 'read'; readonly run: string; readonly version: number; readonly names: readonly string[] }
  | { readonly kind: 'kept'; readonly version: number }
  | { readonly kind: 'stale' }
  | { readonly kind: 'many' };

/** Null where it is not of the form that `watch.lua` answers in. */
export function parseWatchReply(reply: readonly Reply[]): WatchReply | null {
  const [run, version, kind, names] = reply;
  if (typeof run !== 'string' || typeof version !== 'number') return null;
  if (kind === 'read' && Array.isArray(names)) return { kind, run, version, names: (names as readonly Reply[]).map(String) };
  if (kind === 'kept') return { kind, version };
  return kind === 'stale' || kind === 'many' ? { kind } : null;
}
