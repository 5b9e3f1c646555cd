import type { Rule } from '../source-file.ts';

/** Files that other programs name. */
const GIVEN = /(^|\/)(README|ARCHITECTURE|CHANGELOG|CONTRIBUTING|DESIGN|SECURITY|LICENSE|PROTOCOL|AGENTS)(\.md)?$/;
const KEBAB = /^\.?[a-z0-9]+([-.][a-z0-9]+)*$/;

export const fileNames: Rule = {
  name: 'file-names',
  check: ({ files }) =>
    files
      .filter(
        ({ path }) => /^(packages|examples|tools|e2e|bench|docs|spec)\//.test(path) && !GIVEN.test(path) && !path.includes('/fixtures/'),
      )
      .filter(({ path }) => !path.split('/').every((step) => KEBAB.test(step)))
      .map(({ path }) => ({
        rule: 'file-names',
        path,
        line: 1,
        message: 'file and folder names are kebab-case, after the noun they export',
      })),
};
