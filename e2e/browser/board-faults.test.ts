/** The board where things go wrong, against a stand-in that can be made to fail: a real Millrace fails too seldom. */
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ANY_PORTS, type Crm, startCrm } from '../../examples/crm/server/start.ts';
import { startStandIn } from '../../examples/crm/test/stand-in.ts';
import { type BuiltPage, buildBoard, card, closeTabs, inStage, launchBrowser, noBrowser, openBoard } from './chromium.ts';

let standIn: Awaited<ReturnType<typeof startStandIn>>;
let crm: Crm;
let browser: Browser;
let board: BuiltPage;

async function ask(tenant: string, query: string, variables: unknown = {}): Promise<Record<string, unknown>> {
  const name = query.includes('stages') ? 'pipelines' : query.includes('users') ? 'users' : 'deals';
  const response = await fetch(crm.subgraphs.find((subgraph) => subgraph.name === name)?.url ?? '', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'millrace-tenant': tenant },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: Record<string, unknown>; errors?: { message: string }[] };
  if (errors?.[0]) throw new Error(errors[0].message);
  return data;
}

async function someDeal(tenant: string, stageId: string): Promise<{ id: string; title: string }> {
  const { deals } = await ask(tenant, `{ deals(stageId: "${stageId}", first: 1) { id title } }`);
  return (deals as { id: string; title: string }[])[0] ?? { id: '', title: '' };
}

const move = (tenant: string, id: string, stageId: string) =>
  ask(tenant, 'mutation ($id: ID!, $stageId: ID!) { moveDeal(id: $id, stageId: $stageId) { id } }', { id, stageId });

describe.skipIf(noBrowser)('the board and faults', () => {
  beforeAll(async () => {
    board = await buildBoard();
    browser = await launchBrowser();
    standIn = await startStandIn();
    crm = await startCrm({
      eventsUrl: standIn.eventsUrl,
      graphqlUrl: standIn.url,
      boardDir: board.directory,
      ports: ANY_PORTS,
      everyMs: 0,
      issueToken: (claims) => standIn.issueToken(claims),
    });
    standIn.connect(ask);
  });

  afterAll(async () => {
    await browser?.close();
    board?.remove();
    await crm?.stop();
    await standIn?.stop();
  });

  afterEach(() => closeTabs(browser));

  test('after a cut it continues by cursor: what happened meanwhile arrives, nothing is read again', async () => {
    const { page, faults } = await openBoard(browser, crm.boardUrl, 'ines');
    const [first, second] = [await someDeal('nordwind', 'proposal'), await someDeal('nordwind', 'qualified')];
    await move('nordwind', first.id, 'negotiation');
    await inStage(page, first.id, 'negotiation').waitFor();
    const queries = standIn.boardQueries;
    standIn.cut();
    await move('nordwind', second.id, 'won');
    await inStage(page, second.id, 'won').waitFor();
    expect(await page.locator('.pill').textContent()).toContain('Live');
    expect(standIn.boardQueries).toBe(queries);
    expect(faults).toEqual([]);
  });

  test('without a cursor to continue from it reads the board anew', async () => {
    const { page, faults } = await openBoard(browser, crm.boardUrl, 'maya');
    const queries = standIn.boardQueries;
    standIn.cut();
    await expect.poll(() => standIn.boardQueries, { timeout: 10_000 }).toBeGreaterThan(queries);
    await expect.poll(() => page.locator('.pill').textContent(), { timeout: 10_000 }).toContain('Live');
    expect(faults).toEqual([]);
  });

  test('a gap is said, and the board is read anew', async () => {
    const { page, faults } = await openBoard(browser, crm.boardUrl, 'jonas');
    await page.getByRole('button', { name: 'Activity' }).click();
    const queries = standIn.boardQueries;
    standIn.tellGap(17);
    await page.getByText('17 changes were missed; the board was read anew').waitFor();
    await expect.poll(() => standIn.boardQueries, { timeout: 10_000 }).toBeGreaterThan(queries);
    expect(faults).toEqual([]);
  });

  test('a move that fails is taken back and said aloud', async () => {
    const { page } = await openBoard(browser, crm.boardUrl, 'priya');
    const deal = await someDeal('kestrel', 'qualified');
    standIn.failMutations('the monolith is closed for stock-taking');
    await card(page, deal.id).hover();
    await page
      .getByRole('combobox', { name: `Stage of ${deal.title}`, exact: true })
      .first()
      .selectOption('won');
    await page.getByRole('alert').getByText('closed for stock-taking').waitFor();
    await inStage(page, deal.id, 'qualified').waitFor();
    standIn.failMutations(null);
  });

  test('a refused sign-in is said and not tried again', async () => {
    const { page } = await openBoard(browser, crm.boardUrl, 'tom');
    standIn.cut(4403, 'Session revoked');
    await page.getByText('Refused: Session revoked').waitFor();
    expect(await page.getByRole('button', { name: 'Try again' }).isVisible()).toBe(true);
  });
});
