import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../kit/clock.ts';
import { Metrics } from '../kit/metrics.ts';
import type { Release } from '../supergraph/release.ts';
import { createRemoteReleasesMetrics } from './metrics.ts';
import { encodeRelease } from './release-json.ts';
import { openRemoteReleases, type RemoteReleases, type RemoteReleasesOptions } from './remote-releases.ts';
import { startTestRegistry, type TestRegistry } from './test-registry.ts';

const sdl = (field: string): string => `type Query { ${field}: String }`;

describe('releases of a registry in another process', () => {
  let folder: string;
  let metrics: Metrics;
  let open: RemoteReleases[];
  let registries: TestRegistry[];
  let servers: Server[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-releases-'));
    metrics = new Metrics();
    open = [];
    registries = [];
    servers = [];
  });
  afterEach(async () => {
    for (const releases of open) await releases.close();
    for (const registry of registries) await registry.close();
    for (const server of servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    rmSync(folder, { recursive: true, force: true });
  });

  const registry = async (): Promise<TestRegistry> => {
    const made = await startTestRegistry({ clock: systemClock });
    registries.push(made);
    return made;
  };
  const fake = async (handle: (path: string, res: ServerResponse) => void): Promise<string> => {
    const server = createServer((req, res) => handle(req.url ?? '', res));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const follow = (urls: readonly string[], token: string | null, more: Partial<RemoteReleasesOptions> = {}): RemoteReleases => {
    const releases = openRemoteReleases({
      urls,
      token,
      file: join(folder, 'release.json'),
      metrics: createRemoteReleasesMetrics((metrics = new Metrics())),
      random: { next: () => 0, hex: () => '' },
      maxPauseMs: 20,
      ...more,
    });
    open.push(releases);
    return releases;
  };
  const next = (releases: RemoteReleases, wanted: (release: Release) => boolean): Promise<Release> =>
    new Promise((resolve) => {
      const stop = releases.watch((release) => {
        if (!wanted(release)) return;
        stop();
        resolve(release);
      });
    });
  const push = (to: TestRegistry, field: string, version = field) =>
    to.registry.push([{ name: 'a', version, typeDefs: sdl(field), url: 'http://a' }], 'test');

  it('gives the current release at the start and each new one as it is pushed', async () => {
    const source = await registry();
    await push(source, 'one');
    const releases = follow([source.url], source.token);
    expect((await releases.current())?.digest).toBe(source.registry.release()?.digest);
    const second = next(releases, () => true);
    await push(source, 'two');
    expect((await second).digest).toBe(source.registry.release()?.digest);
    expect(releases.release()?.supergraphSdl).toContain('two');
    expect(await metrics.text()).toContain('millrace_registry_followed 1');
  });

  it('says that it is waiting until a registry has been heard, even of nothing', async () => {
    const source = await registry();
    const releases = follow([source.url], source.token);
    expect(releases.waiting).toBe(true);
    expect(await releases.current()).toBeNull();
    expect(releases.waiting).toBe(false);
    const first = next(releases, () => true);
    await push(source, 'one');
    expect((await first).digest).toBe(source.registry.release()?.digest);
  });

  it('serves the kept release where no registry can be reached at the start', async () => {
    const source = await registry();
    await push(source, 'one');
    const before = follow([source.url], source.token);
    const known = await before.current();
    await before.close();
    const after = follow(['http://127.0.0.1:1'], null);
    expect((await after.current())?.digest).toBe(known?.digest);
    expect(after.waiting).toBe(false);
  });

  it('goes to another process of the registry when one ends, and misses no release', async () => {
    const [one, two] = [await registry(), await registry()];
    for (const each of [one, two]) await push(each, 'one');
    const releases = follow([one.url, two.url], one.token);
    await releases.current();
    await push(two, 'two');
    const moved = next(releases, (release) => release.supergraphSdl.includes('two'));
    one.handler.drain();
    one.server.closeAllConnections();
    expect((await moved).digest).toBe(two.registry.release()?.digest);
  });

  it('refuses a release whose content does not give its digest, and keeps the last good one', async () => {
    const source = await registry();
    await push(source, 'one');
    const good = source.registry.release()!;
    const asked = Promise.withResolvers<void>();
    let requests = 0;
    const url = await fake((path, res) => {
      if (path === '/release/watch') {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        return void res.end(`event: release\nid: x\ndata: ${encodeRelease(good).replace('one', 'two')}\n\n`);
      }
      requests += 1;
      if (requests === 3) asked.resolve();
      res.end(JSON.stringify({ success: true, data: JSON.parse(encodeRelease(good)) }));
    });
    const releases = follow([url], null);
    await releases.current();
    await asked.promise;
    expect(releases.release()?.digest).toBe(good.digest);
    expect(readFileSync(join(folder, 'release.json'), 'utf8')).toBe(encodeRelease(good));
  });

  it('reads an event however the network cuts it', async () => {
    const source = await registry();
    await push(source, 'one');
    const release = source.registry.release()!;
    const url = await fake((path, res) => {
      if (path === '/release') return void res.end('{"success":true,"data":null}');
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      const bytes = Buffer.from(`:\n\n:\n\nevent: release\nid: ${release.digest}\ndata: ${encodeRelease(release)}\n\n:\n\n`);
      let at = 0;
      // Each piece after the one before has left: 1, 2, 3, … bytes.
      const write = (length: number): void => {
        if (at < bytes.length) res.write(bytes.subarray(at, (at += length)), () => write(length % 7 === 6 ? 1 : length + 1));
      };
      write(1);
    });
    const releases = follow([url], null);
    expect((await next(releases, () => true)).digest).toBe(release.digest);
  });

  it('leaves a connection that has fallen silent', async () => {
    const again = Promise.withResolvers<void>();
    let watches = 0;
    const url = await fake((path, res) => {
      if (path === '/release') return void res.end('{"success":true,"data":null}');
      watches += 1;
      if (watches === 2) again.resolve();
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write(':\n\n');
    });
    follow([url], null, { silenceMs: 50 });
    await again.promise;
    expect(await metrics.text()).toMatch(/failures_total [1-9]/);
  });

  it('tells why where the registry refuses the token, or where something else answers', async () => {
    const source = await registry();
    const other = await fake((_path, res) => res.end('<html>'));
    const reasons: string[] = [];
    const both = Promise.withResolvers<void>();
    const warn = (facts: { readonly reason: string }): void => {
      reasons.push(facts.reason);
      if (reasons.length === 2) both.resolve();
    };
    const log = { warn, debug: () => {}, info: () => {}, error: () => {} };
    const releases = follow([source.url, other], 'bad', { log: log as never });
    await both.promise;
    expect(reasons[0]).toMatch(/REGISTRY_REFUSED.*answered 401/);
    expect(reasons[1]).toMatch(/REGISTRY_REFUSED.*not one of a registry/);
    expect(releases.waiting).toBe(true);
  });

  it('ignores a kept file that is broken, and says so', async () => {
    writeFileSync(join(folder, 'release.json'), '{"format":1');
    const source = await registry();
    await push(source, 'one');
    const warned: string[] = [];
    const log = {
      warn: (facts: { readonly reason: string }) => warned.push(facts.reason),
      info: () => {},
      error: () => {},
      debug: () => {},
    };
    const releases = follow([source.url], source.token, { log: log as never });
    expect((await releases.current())?.digest).toBe(source.registry.release()?.digest);
    expect(warned[0]).toContain('not JSON');
  });
});
