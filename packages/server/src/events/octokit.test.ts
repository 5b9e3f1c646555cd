import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { decode } from './decode.ts';
import type { LiveAction } from './live-type.ts';
import { mapEvent } from './map-event.ts';
import { dealType } from './testing/deal-type.ts';

/** Hundreds of GitHub's webhook bodies, which nobody here wrote, against a straight reading of them. */
type Payload = {
  readonly action?: string;
  readonly issue?: { readonly id: number; readonly updated_at?: string } | null;
  readonly repository?: { readonly owner: { readonly login: string } };
};

const folder = createRequire(import.meta.url)
  .resolve('@octokit/webhooks-examples/package.json')
  .replace(/package\.json$/, '');
const hooks = JSON.parse(readFileSync(`${folder}api.github.com/index.json`, 'utf8')) as readonly {
  readonly name: string;
  readonly examples: readonly Payload[];
}[];
const bodies = hooks.flatMap(({ name, examples }) => examples.map((payload) => ({ name, payload })));

const actions = new Map<string, LiveAction>([
  ['opened', 'ADDED'],
  ['edited', 'CHANGED'],
  ['closed', 'CHANGED'],
  ['reopened', 'CHANGED'],
  ['deleted', 'DELETED'],
]);

const issueType = dealType({
  name: 'Issue',
  subgraph: 'github',
  topic: 'github',
  tenant: { kind: 'path', path: ['repository', 'owner', 'login'] },
  entity: ['issue'],
  actions,
  unknownAction: 'drop',
  at: ['issue', 'updated_at'],
  fieldName: 'issue',
});

describe('GitHub webhook bodies as plain JSON', () => {
  test('there are hundreds of them', () => {
    expect(bodies.length).toBeGreaterThan(200);
  });

  test('each becomes exactly the event that it tells of, or is refused for the reason that a reader finds', () => {
    let events = 0;
    for (const { name, payload } of bodies) {
      const text = JSON.stringify(payload, null, 2);
      const got = mapEvent(
        decode(
          { topic: 'github', key: null, headers: new Map([['content-type', 'application/json']]), value: Buffer.from(text), timestamp: 0 },
          { receivedAt: 0 },
        ),
        issueType,
      );
      const action = payload.action === undefined ? 'CHANGED' : actions.get(payload.action);
      if (action === undefined) expect(got.kind, name).toBe('drop');
      else if (!payload.issue) expect(got, name).toMatchObject({ kind: 'reject', code: 'ENTITY_MISSING' });
      else if (!payload.repository) expect(got, name).toMatchObject({ kind: 'reject', code: 'EVENT_TENANT_MISSING' });
      else {
        events++;
        expect(got, name).toMatchObject({
          kind: 'event',
          event: { tenant: payload.repository.owner.login, key: String(payload.issue.id), action, entity: payload.issue },
        });
        if (got.kind === 'event') expect(JSON.parse(got.event.raw)).toEqual(payload.issue);
      }
    }
    expect(events).toBeGreaterThan(10);
  });
});
