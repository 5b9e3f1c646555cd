/**
 * The kinds of value that an option can have. A kind reads what a file, the environment or a flag gave and either
 * returns the typed value or says what it takes; it never throws.
 */
export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly faults: readonly Fault[] };

/** `at` is the place within the value (`[0].issuer`), empty for the value itself. */
export type Fault = { readonly at: string; readonly got: unknown; readonly takes: string; readonly secret?: boolean };

export interface Kind<T> {
  /** Shown in the reference: `integer`, `duration`, … */
  readonly name: string;
  /** Completes the sentence "takes …". */
  readonly takes: string;
  /** `raw` is a string from the environment and flags, any JSON value from a file. */
  read(raw: unknown): Read<T>;
  /** As a person would write it in a file. */
  show(value: T): string;
}

export const good = <T>(value: T): Read<T> => ({ ok: true, value });
export const bad = (got: unknown, takes: string, at = ''): Read<never> => ({ ok: false, faults: [{ at, got, takes }] });

type Bounds = { readonly min?: number; readonly max?: number };

export function integer({ min = 0, max = Number.MAX_SAFE_INTEGER }: Bounds = {}): Kind<number> {
  const takes = `a whole number ${range(min, max, String)}`;
  return {
    name: 'integer',
    takes,
    read(raw) {
      const value = typeof raw === 'string' && /^-?\d+$/.test(raw.trim()) ? Number(raw) : raw;
      return typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max ? good(value) : bad(raw, takes);
    },
    show: String,
  };
}

/** A share of a whole, from 0 to 1. */
export function fraction(): Kind<number> {
  const takes = 'a number from 0 to 1, such as 0.01';
  return {
    name: 'fraction',
    takes,
    read(raw) {
      const value = typeof raw === 'string' && /^\d*\.?\d+$/.test(raw.trim()) ? Number(raw) : raw;
      return typeof value === 'number' && value >= 0 && value <= 1 ? good(value) : bad(raw, takes);
    },
    show: String,
  };
}

const TIME_UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];
const SIZE_UNITS: readonly (readonly [string, number])[] = [
  ['GiB', 1_073_741_824],
  ['MiB', 1_048_576],
  ['KiB', 1024],
  ['B', 1],
];

/** Milliseconds. Takes `250ms`, `30s`, `5m`, `1h`, `7d`, or a number of milliseconds. */
export function duration({ min = 0, max = 2_147_483_647 }: Bounds = {}): Kind<number> {
  return quantity('duration', 'a duration such as 250ms, 30s, 5m, 1h or 7d (or a number of milliseconds)', TIME_UNITS, min, max);
}

/** Bytes. Takes `512KiB`, `1MiB`, `2GiB` (KB, MB and GB mean the same), or a number of bytes. */
export function size({ min = 0, max = 1_099_511_627_776 }: Bounds = {}): Kind<number> {
  return quantity('size', 'a size such as 64KiB, 1MiB or 2GiB (or a number of bytes)', SIZE_UNITS, min, max);
}

function quantity(name: string, what: string, units: typeof TIME_UNITS, min: number, max: number): Kind<number> {
  const show = (value: number): string => {
    const unit = units.find(([, factor]) => value !== 0 && value % factor === 0) ?? units.at(-1)!;
    return `${value / unit[1]}${unit[0]}`;
  };
  const takes = `${what} ${range(min, max, show)}`;
  return {
    name,
    takes,
    read(raw) {
      const value = typeof raw === 'string' ? parseQuantity(raw, units) : raw;
      return typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max ? good(value) : bad(raw, takes);
    },
    show,
  };
}

function parseQuantity(text: string, units: typeof TIME_UNITS): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  if (!match) return NaN;
  const unit = match[2]!.toLowerCase();
  if (unit === '') return Number(match[1]);
  const factor = units.find(([name]) => name.toLowerCase() === unit || name.toLowerCase().replace('i', '') === unit)?.[1];
  return factor === undefined ? NaN : Math.round(Number(match[1]) * factor);
}

function range(min: number, max: number, show: (value: number) => string): string {
  if (max >= 1_099_511_627_776 || max === 2_147_483_647) return `of at least ${show(min)}`;
  return `from ${show(min)} to ${show(max)}`;
}

export function boolean(): Kind<boolean> {
  const words = new Map([
    ['true', true],
    ['false', false],
    ['1', true],
    ['0', false],
    ['yes', true],
    ['no', false],
  ]);
  const takes = 'true or false';
  return {
    name: 'boolean',
    takes,
    read(raw) {
      if (typeof raw === 'boolean') return good(raw);
      const value = typeof raw === 'string' ? words.get(raw.trim().toLowerCase()) : undefined;
      return value === undefined ? bad(raw, takes) : good(value);
    },
    show: String,
  };
}

export function choice<const T extends string>(values: readonly T[]): Kind<T> {
  const takes = `one of ${values.join(', ')}`;
  return {
    name: values.join(' \\| '),
    takes,
    read: (raw) => (typeof raw === 'string' && (values as readonly string[]).includes(raw) ? good(raw as T) : bad(raw, takes)),
    show: String,
  };
}

/** A non-empty string, optionally of a form. `what` completes "takes …". */
export function text(what = 'a non-empty string', fits: (value: string) => boolean = () => true, name = 'string'): Kind<string> {
  return {
    name,
    takes: what,
    read: (raw) => (typeof raw === 'string' && raw.trim() !== '' && fits(raw) ? good(raw) : bad(raw, what)),
    show: String,
  };
}

/** An absolute URL with one of these schemes. */
export function url(...schemes: readonly string[]): Kind<string> {
  const what = `an absolute URL starting with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`;
  return text(what, (value) => URL.canParse(value) && schemes.includes(new URL(value).protocol.slice(0, -1)), 'url');
}

/** Null (also the words `null` and `none` in the environment and flags), or the other kind. */
export function optional<T>(kind: Kind<T>): Kind<T | null> {
  return {
    name: kind.name,
    takes: kind.takes,
    read: (raw) => (raw === null || raw === 'null' || raw === 'none' ? good(null) : kind.read(raw)),
    show: (value) => (value === null ? 'none' : kind.show(value)),
  };
}

/** A list; in the environment and flags the items are separated by commas, or the whole is JSON. */
export function list<T>(item: Kind<T>, maxItems = 1000): Kind<readonly T[]> {
  const takes = `a list of at most ${maxItems}, each ${item.takes}`;
  return {
    name: `list of ${item.name}`,
    takes,
    read(raw) {
      const items = typeof raw === 'string' ? splitList(raw) : raw;
      if (!Array.isArray(items) || items.length > maxItems) return bad(raw, takes);
      return collect(
        items.map((each, index) => [`[${index}]`, item.read(each)] as const),
        (values) => values as T[],
      );
    },
    show: (values) => (values.length === 0 ? '[]' : `[${values.map((value) => item.show(value)).join(', ')}]`),
  };
}

function splitList(raw: string): unknown {
  if (raw.trim().startsWith('[')) {
    try {
      return JSON.parse(raw) as unknown;
    } catch {
      return raw;
    }
  }
  return raw
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** Every fault of every part, or all values. */
export function collect<T>(parts: readonly (readonly [string, Read<unknown>])[], build: (values: readonly unknown[]) => T): Read<T> {
  const faults: Fault[] = [];
  const values: unknown[] = [];
  for (const [at, part] of parts) {
    if (part.ok) values.push(part.value);
    else faults.push(...part.faults.map((fault) => ({ ...fault, at: `${at}${fault.at}` })));
  }
  return faults.length > 0 ? { ok: false, faults } : good(build(values));
}
