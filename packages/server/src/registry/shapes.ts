import { MillraceError } from '../kit/errors.ts';
import { isJsonObject, type JsonObject, ownMember } from '../kit/json.ts';
import { hasControlCharacter } from '../kit/plain-name.ts';
import { registryErrors } from './errors.ts';

/** One thing wrong with a request, in words that users of the older registry know. */
export type Fault = { readonly message: string; readonly path: string };

export type TextRule = {
  readonly min?: number;
  readonly max?: number;
  readonly optional?: boolean;
  /** Whether the empty text stands for nothing. */
  readonly emptyIsNull?: boolean;
  /** A name: no control characters. Otherwise only U+0000 is refused. */
  readonly name?: boolean;
  /** Schemes without colon of a valid address. */
  readonly schemes?: readonly string[];
};

/** Reads fields of a JSON object and collects every fault, so that a caller mends all of them at once. */
export class Shape {
  readonly #faults: Fault[] = [];

  /** Null where the text is absent, empty (if that is allowed) or wrong; wrong ones are faults. */
  text(object: JsonObject, key: string, rule: TextRule, prefix = ''): string | null {
    const path = `${prefix}${key}`;
    const value = ownMember(object, key);
    if (value === undefined || (value === null && rule.optional === true))
      return rule.optional === true ? null : this.fault(path, 'is required');
    if (typeof value !== 'string') return this.fault(path, 'must be a string');
    if (value === '') return rule.emptyIsNull === true ? null : this.fault(path, 'is not allowed to be empty');
    if (rule.min !== undefined && value.length < rule.min) return this.fault(path, `length must be at least ${rule.min} characters long`);
    if (rule.max !== undefined && value.length > rule.max)
      return this.fault(path, `length must be less than or equal to ${rule.max} characters long`);
    return this.#content(value, path, rule);
  }

  #content(value: string, path: string, rule: TextRule): string | null {
    // PostgreSQL keeps neither U+0000 nor lone surrogates; what one store takes the other must take too.
    if (value.includes('\0') || !value.isWellFormed()) return this.fault(path, 'must not contain U+0000 or lone surrogates');
    if (rule.name === true && hasControlCharacter(value)) return this.fault(path, 'must not contain control characters');
    if (rule.schemes && !rule.schemes.includes(URL.parse(value)?.protocol.slice(0, -1) ?? '')) {
      return this.fault(path, `must be a valid ${rule.schemes.join(' or ')} address`);
    }
    return value;
  }

  /** Every key that is not named is a fault. */
  only(object: JsonObject, keys: readonly string[], prefix = ''): void {
    for (const key of Object.keys(object)) if (!keys.includes(key)) this.fault(`${prefix}${key.slice(0, 100)}`, 'is not allowed');
  }

  /** A list of objects; wrong elements are faults and left out. */
  objects(
    object: JsonObject,
    key: string,
    bounds: { readonly min: number; readonly max: number; readonly optional: boolean },
  ): readonly JsonObject[] {
    const value = ownMember(object, key);
    if (value === undefined && bounds.optional) return [];
    if (value === undefined) return this.fault(key, 'is required') ?? [];
    if (!Array.isArray(value)) return this.fault(key, 'must be an array') ?? [];
    if (value.length < bounds.min) this.fault(key, `must contain at least ${bounds.min} items`);
    if (value.length > bounds.max) return this.fault(key, `must contain less than or equal to ${bounds.max} items`) ?? [];
    value.forEach((item: unknown, index) => isJsonObject(item) || this.fault(`${key}[${index}]`, 'must be of type object'));
    return value.filter(isJsonObject);
  }

  /** A name given twice would make the answer depend on order. */
  unique(key: string, names: readonly (string | null)[]): void {
    const seen = new Set<string>();
    names.forEach((name, index) => {
      if (name !== null && seen.has(name)) this.fault(`${key}[${index}]`, 'contains a duplicate value');
      if (name !== null) seen.add(name);
    });
  }

  fault(path: string, what: string): null {
    this.#faults.push({ path, message: `"${path}" ${what}` });
    return null;
  }

  /** Throws REQUEST_INVALID with every fault, the first as the message. */
  check(): void {
    const first = this.#faults[0];
    if (!first) return;
    throw new MillraceError(registryErrors.REQUEST_INVALID, first.message, { problems: this.#faults.slice(0, 50) });
  }
}
