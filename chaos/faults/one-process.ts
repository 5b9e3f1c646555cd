import { between } from '../lib/chance.ts';
import { one, type OneSite } from '../lib/one.ts';
import { pause } from '../lib/pause.ts';
import type { Fault } from '../lib/run.ts';

const HOUR = 3_600_000;

/** One process, and the network before it. */
export const oneProcessFaults: readonly Fault<OneSite>[] = [
  {
    name: 'kill',
    title: 'kill -9 of the whole process, and a start on the same data',
    topology: one,
    gaps: 'none',
    async strike({ server }, chance) {
      await server.kill();
      await pause(chance, 0, 100);
      await server.start();
    },
  },
  {
    name: 'drain',
    title: 'SIGTERM under load, and a start on the same data',
    topology: one,
    gaps: 'none',
    async strike({ server }) {
      const code = await server.stop();
      if (code !== 0) throw new Error(`it ended with ${code} after SIGTERM`);
      await server.start();
    },
  },
  {
    name: 'cut',
    title: 'every connection of the clients is reset, several times in a row',
    topology: one,
    gaps: 'none',
    async strike({ network }, chance) {
      for (let cuts = between(chance, 2, 5); cuts > 0; cuts -= 1) {
        network.cut();
        await pause(chance, 10, 200);
      }
    },
  },
  {
    name: 'slow',
    title: 'a network of 4 KB a second, then a fast one',
    topology: one,
    gaps: 'none',
    async strike({ network }, chance) {
      network.limit(4_096);
      await pause(chance, 300, 1_000);
      network.limit(null);
    },
  },
  {
    name: 'half-open',
    title: 'clients vanish without a word to the server; then nothing passes for a while',
    topology: one,
    gaps: 'none',
    async strike({ network }, chance) {
      network.abandon();
      await pause(chance, 100, 500);
      network.freeze();
      await pause(chance, 200, 800);
      if (chance() < 0.5) network.cut();
      network.thaw();
    },
  },
  {
    name: 'clock',
    title: 'the wall clock jumps an hour ahead, then two hours back, then to where it belongs',
    topology: one,
    gaps: 'none',
    async strike(site, chance) {
      for (const offset of [HOUR, -HOUR, 0]) {
        site.setClock(offset);
        await pause(chance, 100, 400);
        if (chance() < 0.3) site.network.cut();
      }
    },
  },
];
