import { type Finding, type Node, type Rule, type SourceFile, walk } from '../source-file.ts';

export const MAX_FILE_LINES = 700;
export const MAX_FUNCTION_LINES = 70;

export const sizes: Rule = {
  name: 'sizes',
  check: ({ files }) => files.filter((file) => file.isCode).flatMap((file) => [...fileSize(file), ...functionSizes(file)]),
};

function fileSize(file: SourceFile): Finding[] {
  const lines = file.text.split('\n').length - 1;
  return lines <= MAX_FILE_LINES
    ? []
    : [{ rule: 'sizes', path: file.path, line: 1, message: `${lines} lines; a file has at most ${MAX_FILE_LINES}` }];
}

const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);

function functionSizes(file: SourceFile): Finding[] {
  const out: Finding[] = [];
  walk(file.program, (node) => {
    if (!FUNCTIONS.has(node.type)) return;
    const lines = file.lineOf(node.end) - file.lineOf(node.start) + 1;
    if (lines <= MAX_FUNCTION_LINES || (file.isTest && registersTests(node))) return;
    out.push({
      rule: 'sizes',
      path: file.path,
      line: file.lineOf(node.start),
      message: `a function of ${lines} lines; at most ${MAX_FUNCTION_LINES}`,
    });
  });
  return out;
}

/** A list of tests is a table of contents, not an algorithm. */
function registersTests(root: Node): boolean {
  let found = false;
  walk(root, (node) => {
    const callee = node.type === 'CallExpression' ? (node['callee'] as Node) : null;
    if (callee?.type === 'Identifier' && ['it', 'test', 'describe'].includes(String(callee['name']))) found = true;
  });
  return found;
}
