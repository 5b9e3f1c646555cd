import { RedisService } from '../../tools/services/redis.ts';
import { startMillraceProxy } from '../../tools/services/millrace-proxy.ts';
import type { NginxService } from '../../tools/services/nginx.ts';
import { type PairSite, restartOne, startPair } from '../lib/pair.ts';
import { pause } from '../lib/pause.ts';
import { type Fault, runnable, type RunnableFault } from '../lib/run.ts';
import type { Topology } from '../lib/site.ts';
import { owning } from '../lib/owning.ts';

type ProxySite = PairSite & { readonly nginx: NginxService };

const behindNginx: Topology<ProxySite> = {
  name: 'two processes on one Redis, behind nginx with TLS',
  needs: ['redis', 'nginx'],
  async start(folder) {
    await using opening = new AsyncDisposableStack();
    const redis = opening.use(await RedisService.start());
    const site = opening.use(await startPair(folder, { URLS: redis.url, KEY_PREFIX: 'chaos' }));
    const ports = site.nodes.map(({ events }) => Number(new URL(events).port));
    // Old workers end what they still hold after a second, so that a reload moves every client.
    const { nginx } = await startMillraceProxy({ edges: ports, gateways: ports, ingest: ports }, 'worker_shutdown_timeout 1s;');
    opening.use(nginx);
    const edges = () => [`wss://127.0.0.1:${nginx.port}/graphql`];
    return owning(opening, { ...site, nginx, edges });
  },
};

const faults: readonly Fault<ProxySite>[] = [
  {
    name: 'nginx-reload',
    title: 'nginx reloads its configuration, and its old workers end every connection a second later',
    topology: behindNginx,
    gaps: 'none',
    async strike({ nginx }, chance) {
      nginx.reload();
      await pause(chance, 1_000, 1_500);
    },
  },
  {
    name: 'nginx-edge-kill',
    title: 'kill -9 of one of two edges behind nginx, which sends its clients to the other',
    topology: behindNginx,
    gaps: 'none',
    strike: restartOne,
  },
];

export const proxyFaults: readonly RunnableFault[] = faults.map(runnable);
