/** The hooks of the SDK in a real browser, against a server of the graphql-ws library. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Running, serve } from '../../examples/crm/server/http.ts';
import { type StandInServer, startStandInServer } from '../../packages/client/test/stand-in-server.ts';
import { buildPage, type BuiltPage, launchBrowser, noBrowser } from './chromium.ts';

let browser: Browser;
let built: BuiltPage;
let server: StandInServer;
let site: Running;

async function openPage(): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(`${site.url}/?ws=${encodeURIComponent(server.url)}`);
  return page;
}

/** The built files on loopback: a page of any other origin may not open sockets to this machine. */
function serveFiles(directory: string): Promise<Running> {
  return serve(0, async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://site');
    const body = readFileSync(join(directory, pathname === '/' ? 'index.html' : pathname));
    response.writeHead(200, { 'content-type': pathname.endsWith('.js') ? 'text/javascript' : 'text/html' }).end(body);
  });
}

async function taken(count: number): Promise<void> {
  await expect.poll(() => server.taken, { timeout: 10_000 }).toBe(count);
}

describe.skipIf(noBrowser)('useLiveSubscription and useClientState', () => {
  beforeAll(async () => {
    [built, browser, server] = await Promise.all([
      buildPage(join(import.meta.dirname, 'react-page')),
      launchBrowser(),
      startStandInServer(),
    ]);
    site = await serveFiles(built.directory);
  });

  afterAll(async () => {
    await browser?.close();
    await site?.stop();
    built?.remove();
    await server?.[Symbol.asyncDispose]();
  });

  test('every event reaches onEvent, the last is in the result, and it resumes after a cut', async () => {
    const page = await openPage();
    await taken(1);
    server.publish(1, 2, 3);
    await page.locator('#seen', { hasText: '1 2 3' }).waitFor();
    expect(await page.locator('#last').textContent()).toBe('3');
    expect(await page.locator('#state').textContent()).toBe('open live ');
    server.tear();
    server.publish(4);
    await page.locator('#seen', { hasText: '1 2 3 4' }).waitFor();
  });

  test('skip ends the subscription and the idle connection, and starts both anew', async () => {
    const page = await openPage();
    await taken(3);
    await page.getByRole('button').click();
    await page.locator('#state', { hasText: 'idle ended' }).waitFor();
    server.publish(5);
    await page.getByRole('button').click();
    await taken(4);
    server.publish(6);
    await page.locator('#last', { hasText: '6' }).waitFor();
    expect(await page.locator('#seen').textContent()).toBe(' 6');
  });
});
