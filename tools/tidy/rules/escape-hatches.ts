import { type Finding, type Rule, type SourceFile, walk } from '../source-file.ts';

/** `any` and switched-off checks spread silently; in packages there are none. */
export const escapeHatches: Rule = {
  name: 'escape-hatches',
  check: ({ files }) => files.filter((file) => file.isCode && file.path.startsWith('packages/')).flatMap(check),
};

function check(file: SourceFile): Finding[] {
  const out: Finding[] = [];
  const report = (offset: number, message: string): void =>
    void out.push({ rule: 'escape-hatches', path: file.path, line: file.lineOf(offset), message });
  walk(file.program, (node) => {
    if (node.type === 'TSAnyKeyword') report(node.start, '`any`: use `unknown` and narrow it');
  });
  for (const { value, start } of file.comments) {
    const match = /@ts-(ignore|nocheck|expect-error)/.exec(value);
    if (match && !(match[1] === 'expect-error' && file.isTest)) report(start, `${match[0]} switches the compiler off`);
  }
  return out;
}
