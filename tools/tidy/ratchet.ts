import type { Finding } from './source-file.ts';

/** Exceptions that are allowed for now: how many findings of a rule a file may have. It can only shrink. */
export type Ratchet = Readonly<Record<string, Readonly<Record<string, number>>>>;

export type Verdict = {
  /** Findings beyond what the ratchet allows. */
  readonly findings: readonly Finding[];
  /** Allowances that are larger than needed, one line each: the ratchet must be tightened. */
  readonly slack: readonly string[];
  /** The ratchet as it should be now. Never allows more than the old one. */
  readonly tightened: Ratchet;
};

export function judge(all: readonly Finding[], ratchet: Ratchet): Verdict {
  const found = Map.groupBy(all, ({ rule, path }) => `${rule}\0${path}`);
  const findings = [...found.values()].filter((group) => group.length > allowed(ratchet, group[0]!)).flat();
  const slack: string[] = [];
  const tightened: Record<string, Record<string, number>> = {};
  for (const [rule, paths] of Object.entries(ratchet)) {
    for (const [path, count] of Object.entries(paths)) {
      const now = found.get(`${rule}\0${path}`)?.length ?? 0;
      if (now < count) slack.push(`${rule}: ${path} is allowed ${count}, has ${now}`);
      if (Math.min(now, count) > 0) (tightened[rule] ??= {})[path] = Math.min(now, count);
    }
  }
  return { findings, slack, tightened };
}

function allowed(ratchet: Ratchet, { rule, path }: Finding): number {
  return ratchet[rule]?.[path] ?? 0;
}
