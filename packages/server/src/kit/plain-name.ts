// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;

/** Such a text breaks log lines, headers and the names of channels apart. */
export function hasControlCharacter(text: string): boolean {
  return CONTROL.test(text);
}

/**
 * The one rule for ids of tenants, users, roles and groups: 1 to `max` UTF-16 units, no control characters, no lone surrogates. A tenant
 * from a token and a tenant from an event obey it alike, so that the two can be compared as they are.
 */
export function isPlainName(value: unknown, max: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= max && !hasControlCharacter(value) && value.isWellFormed();
}
