import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway } from '../../server/src/gateway/testing/gateway-server.ts';
import { FakeGenerations } from '../../server/src/gateway/testing/fake-generation.ts';
import { startTestServer } from '../../server/src/transports/testing/test-server.ts';

const CONSOLE = fileURLToPath(new URL('..', import.meta.url));
const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));

const skipped = CHROMIUM === undefined && process.env['MILLRACE_REQUIRE_SERVICES'] !== '1';
if (skipped) console.warn('SKIPPED: no Chromium; on Debian: apt-get install chromium');

/** The page in a real browser, with no network but the server under test. */
describe.skipIf(skipped)('GraphiQL in Chromium', () => {
  let browser: Browser;
  let stack: AsyncDisposableStack;
  let url: string;
  let tokens: (string | undefined)[];

  beforeAll(async () => {
    if (!existsSync(`${DIST}/index.html`)) execFileSync('npm', ['run', 'build'], { cwd: CONSOLE, stdio: 'ignore' });
    stack = new AsyncDisposableStack();
    const generations = new FakeGenerations();
    const gateway = stack.use(await startGateway(generations, { dist: DIST }));
    const live = stack.use(await startTestServer());
    tokens = [];
    // One address for both, as in the real server.
    const front = createServer((req, res) => {
      tokens.push(req.headers.authorization);
      gateway.handle(req, res);
    });
    front.on('upgrade', (req, socket, head) => live.handleUpgrade(req, socket, head));
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    stack.defer(() => {
      front.closeAllConnections();
      front.close();
    });
    url = `http://127.0.0.1:${(front.address() as AddressInfo).port}/graphql`;
    sessions = live.host;
    browser = await chromium.launch({
      executablePath: CHROMIUM!,
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
  }, 120_000);

  let sessions: Awaited<ReturnType<typeof startTestServer>>['host'];

  afterAll(async () => {
    await browser?.close();
    await stack?.disposeAsync();
  });

  async function open(query: string, headers?: string): Promise<{ page: Page; problems: string[] }> {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on(
      'request',
      (request) =>
        !request.url().startsWith(new URL(url).origin) &&
        !/^(data|blob|ws):/.test(request.url()) &&
        problems.push(`asked ${request.url()}`),
    );
    await page.goto(url);
    const editor = page.locator('.graphiql-query-editor .monaco-editor').first();
    await editor.waitFor();
    await type(page, editor, query);
    if (headers !== undefined) {
      await page.getByRole('button', { name: 'Headers', exact: true }).click();
      await type(page, page.locator('.graphiql-editor-tool .monaco-editor:visible').first(), headers);
    }
    return { page, problems };
  }

  async function type(page: Page, editor: ReturnType<Page['locator']>, text: string): Promise<void> {
    await editor.click();
    await page.keyboard.press('Control+A');
    await page.keyboard.press('Delete');
    await page.keyboard.insertText(text);
  }

  async function run(page: Page): Promise<void> {
    await page.getByRole('button', { name: /execute query/i }).click();
  }

  function answer(page: Page, text: string): Promise<void> {
    return page.locator('.graphiql-response').filter({ hasText: text }).waitFor();
  }

  it('runs a query over HTTP with the Authorization of the header editor', async () => {
    const { page, problems } = await open('{ hello(name: "browser") }', '{ "Authorization": "Bearer ann" }');
    await run(page);
    await answer(page, 'hello browser');
    expect(tokens).toContain('Bearer ann');
    if (process.env['SCREENSHOTS']) await page.screenshot({ path: `${process.env['SCREENSHOTS']}/query.png` });
    expect(problems).toEqual([]);
    await page.close();
  });

  it('runs a subscription over WebSocket with the same Authorization as connection_init', async () => {
    const { page, problems } = await open('subscription { count(to: 3) }', '{ "Authorization": "Bearer bob" }');
    await run(page);
    await answer(page, '3');
    expect(sessions.hellos.map((hello) => [hello.authorization, hello.clientName])).toEqual([['Bearer bob', 'graphiql']]);
    if (process.env['SCREENSHOTS']) await page.screenshot({ path: `${process.env['SCREENSHOTS']}/subscription.png` });
    expect(problems).toEqual([]);
    await page.close();
  });

  it('opens with the query of a link', async () => {
    const page = await browser.newPage();
    await page.goto(`${url}?query=${encodeURIComponent('{ hello(name: "link") }')}`);
    // Before the editor has it, the button runs nothing.
    await page.locator('.graphiql-query-editor .view-lines').filter({ hasText: 'link' }).waitFor();
    await run(page);
    await answer(page, 'hello link');
    await page.close();
  });

  it('says why a connection was refused', async () => {
    const { page } = await open('subscription { count(to: 3) }', '{ "Authorization": "nonsense" }');
    await run(page);
    await answer(page, '4403 Forbidden: TOKEN_INVALID');
    await page.close();
  });
});
