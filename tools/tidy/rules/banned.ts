import { type Finding, type Node, type Rule, type SourceFile, dottedName, walk } from '../source-file.ts';

type Ban = {
  /** Dotted names of what is called or read. */
  readonly names: readonly string[];
  readonly why: string;
  readonly applies: (file: SourceFile) => boolean;
};

const inServer = (file: SourceFile): boolean => file.path.startsWith('packages/server/src/') && !file.isTest;
const outside =
  (...rooms: readonly string[]) =>
  (file: SourceFile): boolean =>
    inServer(file) && !rooms.some((room) => file.path.startsWith(`packages/server/src/${room}`));

const BANS: readonly Ban[] = [
  {
    names: ['Date.now', 'setTimeout', 'setInterval'],
    why: 'time is injected: take a Clock (kit/clock.ts)',
    applies: outside('kit/', 'server/listen.ts'),
  },
  {
    names: ['Math.random', 'crypto.randomUUID', 'randomUUID', 'randomBytes'],
    why: 'chance is injected: take a Random (kit/random.ts)',
    // A key is the one thing that no seed may repeat.
    applies: outside('kit/', 'server/cursor-keys.ts'),
  },
  { names: ['process.env'], why: 'only server/config reads the environment; take options', applies: outside('server/config/') },
  { names: ['process.exit'], why: 'only the command line ends the process', applies: outside('cli/') },
  {
    names: ['Promise.race', 'AbortSignal.any'],
    why: 'leaks on long-lived promises and signals',
    applies: (file) => file.path.startsWith('packages/') && !file.isTest,
  },
];

export const banned: Rule = {
  name: 'banned',
  check: ({ files }) => files.filter((file) => file.isCode).flatMap(check),
};

function check(file: SourceFile): Finding[] {
  const out: Finding[] = [];
  const bans = BANS.filter(({ applies }) => applies(file));
  const report = (node: Node, message: string): void =>
    void out.push({ rule: 'banned', path: file.path, line: file.lineOf(node.start), message });
  walk(file.program, (node, above) => {
    const name = used(node);
    for (const ban of bans) if (name !== null && ban.names.includes(name)) report(node, `${name}: ${ban.why}`);
    if (inServer(file) && name?.startsWith('console.')) report(node, `${name}: log through kit/log.ts; commands print through their Io`);
    if (
      inServer(file) &&
      node.type === 'NewExpression' &&
      dottedName(node['callee']) === 'Date' &&
      (node['arguments'] as unknown[]).length === 0
    )
      report(node, 'new Date(): time is injected: take a Clock (kit/clock.ts)');
    if (node.type === 'CallExpression' && /^(it|test|describe)(\.\w+)*\.only$/.test(dottedName(node['callee']) ?? ''))
      report(node, '.only would leave all other tests out');
    if (name === 'JSON.parse' && parsesForeignBytes(file) && !isGuarded(above))
      report(node, 'JSON.parse without try in a room that reads foreign bytes');
    if (isSleep(file, node)) report(node, 'tests wait for events, never for time: no sleeps');
    if (importsSleep(node) && (file.path.endsWith('.test.ts') || outside('kit/', 'cli/')(file)))
      report(node, 'setTimeout of node:timers/promises: take a Clock (kit/clock.ts); tests wait for events, never for time');
  });
  return out;
}

/** The name that is called, or read as a member (`process.env.X` reads `process.env`). */
function used(node: Node): string | null {
  if (node.type === 'CallExpression') return dottedName(node['callee']);
  return node.type === 'MemberExpression' && dottedName(node) === 'process.env' ? 'process.env' : null;
}

function parsesForeignBytes(file: SourceFile): boolean {
  return !file.isTest && /^packages\/server\/src\/(transports\/|events\/|brokers\/http)/.test(file.path);
}

/** Within the block of a `try` of the same function. */
function isGuarded(above: readonly Node[]): boolean {
  for (let index = above.length - 1; index >= 0; index--) {
    const node = above[index]!;
    if (node.type === 'TryStatement' && node['block'] === above[index + 1]) return true;
    if (/Function/.test(node.type)) return false;
  }
  return false;
}

/** `import { setTimeout as sleep } from 'node:timers/promises'`: under another name no call would be recognised. */
function importsSleep(node: Node): boolean {
  if (node.type !== 'ImportDeclaration' || !/^(node:)?timers\/promises$/.test(String((node['source'] as Node)['value']))) return false;
  return (node['specifiers'] as readonly Node[]).some(({ imported }) =>
    ['setTimeout', 'setInterval', 'scheduler'].includes(dottedName(imported) ?? ''),
  );
}

/** `new Promise((resolve) => setTimeout(resolve, 100))`: the whole executor is the sleep. */
function isSleep(file: SourceFile, node: Node): boolean {
  if (!file.path.endsWith('.test.ts') || node.type !== 'NewExpression' || dottedName(node['callee']) !== 'Promise') return false;
  const executor = (node['arguments'] as readonly Node[])[0];
  const body = executor?.['body'] as Node | undefined;
  const call = body?.type === 'BlockStatement' ? ((body['body'] as readonly Node[])[0]?.['expression'] as Node | undefined) : body;
  return call?.type === 'CallExpression' && dottedName(call['callee']) === 'setTimeout';
}
