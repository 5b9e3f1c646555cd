import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium, type Page } from 'playwright-core';

const ROOT = join(import.meta.dirname, '../..');
const EXECUTABLE = '/usr/bin/chromium';
const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** True where there is no browser to test with and the run does not insist on one (MILLRACE_REQUIRE_SERVICES=1). */
export const noBrowser: boolean = !existsSync(EXECUTABLE) && process.env['MILLRACE_REQUIRE_SERVICES'] !== '1';
if (noBrowser) console.warn(`SKIPPED: no ${EXECUTABLE}; on Debian: apt-get install chromium`);

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, args: ARGUMENTS });
}

/** Builds the board as it is in the working tree, by the command that people use. */
export function buildBoard(): Promise<BuiltPage> {
  return buildPage(join(ROOT, 'examples/crm/board'));
}

export type BuiltPage = { readonly directory: string; remove(): void };

/** Builds the page in `source` into a folder of its own; about a second. */
export async function buildPage(source: string): Promise<BuiltPage> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-page-'));
  const vite = join(ROOT, 'node_modules/vite/bin/vite.js');
  // Without the runner's NODE_ENV=test, which would build React's slow development version.
  const { NODE_ENV: _, ...env } = process.env;
  await promisify(execFile)(process.execPath, [vite, 'build', source, '--outDir', directory, '--emptyOutDir', '--logLevel', 'error'], {
    env,
  });
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

export type Tab = {
  readonly page: Page;
  /** What the page wrote to its console as an error, and what it threw. Expected to stay empty. */
  readonly faults: readonly string[];
};

/** A tab of its own storage, signed in as `user`, with the deals on the board. */
export async function openBoard(browser: Browser, boardUrl: string, user: string): Promise<Tab> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    // The browser itself reports a socket that was cut; that is what some of the tests do.
    if (message.type() === 'error' && !message.text().includes('WebSocket connection')) faults.push(message.text());
  });
  await page.goto(`${boardUrl}?user=${user}`);
  await page.locator('[data-deal]').first().waitFor();
  return { page, faults };
}

/** Each test leaves an empty browser: forgotten tabs keep working, and slow down the next. */
export async function closeTabs(browser: Browser): Promise<void> {
  await Promise.all(browser.contexts().map((context) => context.close()));
}

export function card(page: Page, id: string) {
  return page.locator(`[data-deal="${id}"]`);
}

/** The stage whose column holds the card. */
export function stageOf(page: Page, id: string): Promise<string | null> {
  return page.locator(`[data-stage]:has([data-deal="${id}"])`).getAttribute('data-stage');
}

export function inStage(page: Page, id: string, stageId: string) {
  return page.locator(`[data-stage="${stageId}"] [data-deal="${id}"]`);
}
