import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEALS_SDL, publishDeal, subscriptionsAre } from '../deals.ts';
import { type Millrace, devToken, pushSchema, startMillrace, temporaryFolder } from '../harness.ts';
import { launchBrowser, noBrowser } from './chromium.ts';

/** The explorer of the running program in a real browser: a token under Headers, a live subscription, an event that appears. */
describe.skipIf(noBrowser)('GraphiQL on the running program', () => {
  const folder = temporaryFolder();
  let browser: Browser;
  let millrace: Millrace;
  let token: string;

  beforeAll(async () => {
    millrace = await startMillrace({ data: folder.path });
    token = await devToken('acme', 'anna');
    const pushed = await pushSchema(millrace.addresses.registry, token, { name: 'deals', sdl: DEALS_SDL });
    expect(pushed.status, await pushed.clone().text()).toBe(200);
    browser = await launchBrowser();
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await millrace?.stop();
    folder.remove();
  });

  async function write(page: Page, editor: string, text: string): Promise<void> {
    await page.locator(editor).first().click();
    await page.keyboard.press('Control+A');
    await page.keyboard.press('Delete');
    await page.keyboard.insertText(text);
  }

  test('a subscription shows the event that concerns it', async () => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    const foreign: string[] = [];
    page.on('request', (request) => {
      const { protocol, host } = new URL(request.url());
      if (/^(http|ws)/.test(protocol) && host !== new URL(millrace.addresses.graphql).host) foreign.push(request.url());
    });
    await page.goto(millrace.addresses.graphql);
    await page.locator('.graphiql-query-editor .monaco-editor').first().waitFor();
    await write(
      page,
      '.graphiql-query-editor .monaco-editor',
      'subscription { dealEvent(filter: {value: {gte: 10}}) { action deal { title } } }',
    );
    await page.getByRole('button', { name: 'Headers', exact: true }).click();
    await write(page, '.graphiql-editor-tool .monaco-editor:visible', `{ "Authorization": "Bearer ${token}" }`);
    const run = page.getByRole('button', { name: /execute query/i });
    let started: Promise<void> = Promise.resolve();
    await subscriptionsAre(millrace, 1, () => void (started = run.click()));
    await started;
    await publishDeal(millrace, token, { id: '1', title: 'too small to be seen', value: 1 });
    await publishDeal(millrace, token, { id: '2', title: 'Seen in the explorer', value: 10 });
    const answer = page.locator('.graphiql-response');
    await answer.filter({ hasText: 'Seen in the explorer' }).waitFor();
    expect(await answer.textContent()).not.toContain('too small');
    expect(foreign, 'the page asks nobody but its own server').toEqual([]);
    await page.close();
  });
});
