import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Chance, chanceOf } from './chance.ts';
import type { Verdict } from './oracle.ts';
import { Producer } from './producer.ts';
import type { Site, Topology } from './site.ts';
import { Subscriber } from './subscriber.ts';

/** Something that happens to a running site. */
export type Fault<S extends Site = Site> = {
  readonly name: string;
  /** What is broken, in one sentence. */
  readonly title: string;
  readonly topology: Topology<S>;
  /** Whether clients may be told of a loss here, because what would prove continuity is gone. Silent losses are allowed nowhere. */
  readonly gaps: 'none' | 'allowed';
  /** Breaks it and mends it. */
  strike(site: S, chance: Chance): Promise<void>;
};

/** A fault with the way to run it, whatever its site is like. */
export type RunnableFault = Pick<Fault, 'name' | 'title' | 'gaps'> & {
  readonly needs: readonly string[];
  run(options: RunOptions): Promise<Report>;
};

export function runnable<S extends Site>(fault: Fault<S>): RunnableFault {
  return {
    name: fault.name,
    title: fault.title,
    gaps: fault.gaps,
    needs: fault.topology.needs,
    run: (options) => runFault(fault, options),
  };
}

export type RunOptions = {
  readonly seed: number;
  /** At least so many, over all tenants; more while strikes are still to come. */
  readonly events: number;
  readonly strikes: number;
  readonly tenants: number;
  /** Of each tenant. */
  readonly subscribers: number;
  readonly keys: number;
  /** Events of one request at most. */
  readonly batch: number;
  /** Ms between two requests of a tenant. */
  readonly pauseMs: number;
  /** Ms for everything; what is not there by then is lost. */
  readonly deadlineMs: number;
  readonly progress?: (line: string) => void;
};

export const SHORT: RunOptions = {
  seed: 1,
  events: 600,
  strikes: 2,
  tenants: 2,
  subscribers: 2,
  keys: 5,
  batch: 8,
  pauseMs: 5,
  deadlineMs: 90_000,
};

export type Report = {
  readonly fault: string;
  readonly seed: number;
  readonly published: number;
  readonly delivered: number;
  /** Explicit, over all subscribers, and the events that they stand for. */
  readonly gaps: number;
  readonly covered: number;
  readonly reconnections: number;
  /** Attempts to publish that were not acknowledged. */
  readonly retries: number;
  /** Ms from the beginning of each strike until every subscriber had an event that was published after it began; null: until the end of the run. */
  readonly recoveryMs: readonly (number | null)[];
  readonly seconds: number;
  readonly faults: readonly string[];
};

/** How often a closing round is repeated; what is not there after so many is lost. */
const CLOSING_ROUNDS_MS = 1_000;

async function runFault<S extends Site>(fault: Fault<S>, options: RunOptions): Promise<Report> {
  const began = performance.now();
  const say = options.progress ?? (() => undefined);
  const folder = mkdtempSync(join(tmpdir(), `millrace-chaos-${fault.name}-`));
  const over = new AbortController();
  const deadline = AbortSignal.any([AbortSignal.timeout(options.deadlineMs), over.signal]);
  let failed = true;
  try {
    await using site = await fault.topology.start(folder);
    say('the site runs');
    using cleanup = new DisposableStack();
    const load = await Load.open(site, options, cleanup);
    await load.prime(deadline);
    const recoveryMs = await load.strikes(fault, deadline, say);
    await load.close(deadline);
    const report = load.report(fault, recoveryMs, (performance.now() - began) / 1000);
    failed = report.faults.length > 0;
    return report;
  } finally {
    // Where a strike failed the producers would go on for ever.
    over.abort();
    // Logs of a run that went wrong are what one wants to read.
    if (failed) say(`data and logs are kept in ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
}

class Load {
  readonly #options: RunOptions;
  readonly #chance: Chance;
  readonly #producers: readonly Producer[];
  readonly #subscribers: readonly Subscriber[];
  readonly #site: Site;

  private constructor(site: Site, options: RunOptions, producers: readonly Producer[], subscribers: readonly Subscriber[]) {
    this.#site = site;
    this.#options = options;
    this.#chance = chanceOf(options.seed);
    this.#producers = producers;
    this.#subscribers = subscribers;
  }

  static async open(site: Site, options: RunOptions, cleanup: DisposableStack): Promise<Load> {
    const tenants = Array.from({ length: options.tenants }, (_, i) => `tenant-${i}`);
    const producers = tenants.map((tenant, i) => new Producer(tenant, site.send, chanceOf(options.seed * 1_000 + i), options));
    const subscribers: Subscriber[] = [];
    for (const tenant of tenants) {
      for (let i = 0; i < options.subscribers; i += 1) {
        const token = await site.token(tenant, `user-${i}`);
        subscribers.push(cleanup.use(new Subscriber({ name: `${tenant}-user-${i}`, tenant, token, urls: site.edges, first: i })));
      }
    }
    return new Load(site, options, producers, subscribers);
  }

  get #published(): number {
    return this.#producers.reduce((sum, { total }) => sum + total, 0);
  }

  /** What is published before a subscription stands is promised to nobody. */
  async prime(deadline: AbortSignal): Promise<void> {
    while (!this.#subscribers.every(({ primed }) => primed)) {
      deadline.throwIfAborted();
      for (const producer of this.#producers) await producer.prime();
      await sleep(50);
    }
  }

  /** Load, with the strikes spread over it. */
  async strikes<S extends Site>(fault: Fault<S>, deadline: AbortSignal, say: (line: string) => void): Promise<readonly (number | null)[]> {
    const { events, strikes, pauseMs } = this.#options;
    const watches: (() => number | null)[][] = [];
    let struck = 0;
    const enough = (): boolean => struck === strikes && this.#published >= events;
    const publishing = Promise.all(this.#producers.map((producer) => producer.run(enough, deadline, pauseMs)));
    const striking = async (): Promise<void> => {
      for (let strike = 1; strike <= strikes; strike += 1) {
        const due = ((strike - this.#chance()) * events) / (strikes + 1);
        while (this.#published < due) {
          deadline.throwIfAborted();
          await sleep(5);
        }
        say(`strike ${strike} of ${strikes} after ${this.#published} events`);
        watches.push(this.#subscribers.map((subscriber) => subscriber.watch()));
        await fault.strike(this.#site as S, this.#chance);
        struck = strike;
      }
      struck = strikes;
    };
    await Promise.all([publishing, striking()]);
    say(`${this.#published} events are safe`);
    await this.#settled(watches, deadline);
    return watches.map((each) => each.map((seen) => seen())).map((seen) => (seen.includes(null) ? null : Math.max(...(seen as number[]))));
  }

  async #settled(watches: readonly (readonly (() => number | null)[])[], deadline: AbortSignal): Promise<void> {
    for (let i = 0; i < 200 && !watches.flat().every((seen) => seen() !== null) && !deadline.aborted; i += 1) {
      await sleep(50);
      if (i % 20 === 10) for (const producer of this.#producers) await producer.close(deadline);
    }
  }

  /** Every key gets one more event, again and again until all subscribers have the last of every key. */
  async close(deadline: AbortSignal): Promise<void> {
    const complete = (): boolean =>
      this.#subscribers.every(({ account }) =>
        account.complete(this.#producers.find(({ tenant }) => tenant === account.tenant)!.published),
      );
    while (!complete() && !deadline.aborted) {
      for (const producer of this.#producers) await producer.close(deadline);
      for (let waited = 0; waited < CLOSING_ROUNDS_MS && !complete(); waited += 20) await sleep(20);
    }
  }

  report(fault: Pick<Fault, 'name' | 'gaps'>, recoveryMs: readonly (number | null)[], seconds: number): Report {
    const verdicts = this.#subscribers.map(({ account }): Verdict =>
      account.verdict(this.#producers.find(({ tenant }) => tenant === account.tenant)!.published),
    );
    const sum = (of: (verdict: Verdict) => number): number => verdicts.reduce((total, verdict) => total + of(verdict), 0);
    const faults = verdicts.flatMap((verdict) => verdict.faults.map((text) => `${verdict.subscriber}: ${text}`));
    const gaps = sum((verdict) => verdict.gaps);
    if (fault.gaps === 'none' && gaps > 0)
      faults.push(`${gaps} gaps where none were expected: everything that proves continuity was there`);
    return {
      fault: fault.name,
      seed: this.#options.seed,
      published: this.#published,
      delivered: sum((verdict) => verdict.delivered),
      gaps,
      covered: sum((verdict) => verdict.covered),
      reconnections: this.#subscribers.reduce((total, { connections }) => total + connections - 1, 0),
      retries: this.#producers.reduce((total, { retries }) => total + retries, 0),
      recoveryMs,
      seconds,
      faults,
    };
  }
}
