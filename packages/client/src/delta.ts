/**
 * An entity with the changed keys of an event's `delta` put in. Neither argument is changed; null stands for "the event does not
 * tell", and gives the entity as it is. Keys are replaced whole: a delta names changed keys, not changes inside of them.
 */
export function applyDelta<T extends object>(entity: T, delta: Readonly<Record<string, unknown>> | null | undefined): T {
  return delta ? { ...entity, ...delta } : entity;
}
