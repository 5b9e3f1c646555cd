import type { Finding, Repository, Rule } from '../source-file.ts';

const DOC = 'docs/dependencies.md';

/** Every dependency of every workspace has a row in docs/dependencies.md that says what it is for, and no row is left over. */
export const dependencies: Rule = {
  name: 'dependencies',
  check(repository) {
    const doc = repository.files.find(({ path }) => path === DOC);
    if (!doc) return [finding(1, `${DOC} is missing`)];
    const rows = new Map(
      [...doc.text.matchAll(/^\| `([^`]+)` \|(.*)$/gm)].map((match) => [
        match[1]!,
        { line: doc.lineOf(match.index), cells: match[2]!.split('|') },
      ]),
    );
    const used = dependencyNames(repository);
    return [
      ...[...used].filter((name) => !rows.has(name)).map((name) => finding(1, `${name} has no row`)),
      ...[...rows].filter(([name]) => !used.has(name)).map(([name, { line }]) => finding(line, `${name} is no dependency any more`)),
      ...[...rows]
        .filter(([, { cells }]) => cells.slice(0, 3).some((cell) => cell.trim() === ''))
        .map(([name, { line }]) => finding(line, `${name}: say what for, why this one, licence`)),
    ];
  },
};

function finding(line: number, message: string): Finding {
  return { rule: 'dependencies', path: DOC, line, message };
}

function dependencyNames({ manifests }: Repository): Set<string> {
  const own = new Set([...manifests.values()].map(({ name }) => name));
  const all = [...manifests.values()].flatMap(({ dependencies: own, devDependencies, peerDependencies }) =>
    [own, devDependencies, peerDependencies].flatMap((each) => Object.keys(each ?? {})),
  );
  return new Set(all.filter((name) => !own.has(name)));
}
