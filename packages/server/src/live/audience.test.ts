import { expect, it } from 'vitest';
import type { Audience } from '../events/live-event.ts';
import { maySee } from './audience.ts';
import { userIdentity } from './testing.ts';

const members = (users: readonly string[], groups: readonly string[]): Audience => ({ kind: 'members', users, groups });
const anonymous = { kind: 'anonymous', tenant: 'acme' } as const;
const ann = userIdentity('acme', 'ann', { groups: ['sales', 'constructor'] });

it.each<[Audience, boolean, boolean]>([
  [{ kind: 'public' }, true, true],
  [{ kind: 'tenant' }, true, false],
  [members(['ann'], []), true, false],
  [members(['bob'], ['sales']), true, false],
  [members(['bob'], ['ann']), false, false],
  [members(['sales'], []), false, false],
  [members([], ['toString']), false, false],
  [members([], []), false, false],
])('D5: %j is seen by ann: %s, by an anonymous session: %s', (audience, byAnn, byAnonymous) => {
  expect([maySee(ann, audience), maySee(anonymous, audience)]).toEqual([byAnn, byAnonymous]);
});
