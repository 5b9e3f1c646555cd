import type { Identity } from '../access/identity.ts';
import type { Audience } from '../events/live-event.ts';

/** Whether `identity`, which listens to the event's tenant, may see the event (spec/delivery.md, D5). */
export function maySee(identity: Identity, audience: Audience): boolean {
  switch (audience.kind) {
    case 'public':
      return true;
    case 'tenant':
      return identity.kind === 'user';
    case 'members':
      if (identity.kind !== 'user') return false;
      if (audience.users.includes(identity.user)) return true;
      return audience.groups.length > 0 && identity.groups.length > 0 && intersects(identity.groups, audience.groups);
  }
}

function intersects(a: readonly string[], b: readonly string[]): boolean {
  for (const one of a) if (b.includes(one)) return true;
  return false;
}
