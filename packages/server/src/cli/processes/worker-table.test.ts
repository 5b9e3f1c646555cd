import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WORKER_TABLE, type WorkerEvent, type WorkerState } from './worker-table.ts';

const ALIVE: ReadonlySet<WorkerState> = new Set(['starting', 'ready', 'ending']);

/** The world of one worker: which events can happen follows from what it was told to do. */
class World {
  state: WorkerState = 'starting';
  processes = 1;
  pauses = 0;
  stopped = false;

  possible(): readonly WorkerEvent[] {
    return [
      ...(this.processes > 0 ? (['ready', 'exit'] as const) : []),
      ...(this.pauses > 0 ? (['due'] as const) : []),
      ...(this.stopped ? [] : (['stop'] as const)),
    ];
  }

  happen(event: WorkerEvent): void {
    if (event === 'exit') this.processes -= 1;
    if (event === 'due') this.pauses -= 1;
    if (event === 'stop') this.stopped = true;
    const { to, act } = WORKER_TABLE[this.state][event];
    this.state = to;
    if (act === 'start') {
      expect(this.stopped).toBe(false);
      this.processes += 1;
    }
    if (act === 'pause') this.pauses += 1;
    if (act === 'signal') expect(this.processes).toBe(1);
  }
}

describe('the states of a worker', () => {
  it('hold one process where they should and none elsewhere, whatever happens, and come to an end after a stop', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 60 }), (choices) => {
        const world = new World();
        for (const choice of choices) {
          const possible = world.possible();
          if (possible.length === 0) break;
          world.happen(possible[choice % possible.length]!);
          expect(world.processes).toBe(ALIVE.has(world.state) ? 1 : 0);
        }
        if (!world.stopped) world.happen('stop');
        while (world.processes > 0) world.happen('exit');
        expect(world.state).toBe('ended');
        while (world.pauses > 0) world.happen('due');
        expect([world.state, world.processes]).toEqual(['ended', 0]);
      }),
      { numRuns: 1_000 },
    );
  });
});
