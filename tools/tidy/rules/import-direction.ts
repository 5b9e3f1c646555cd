import { importsOf, resolveImport } from '../imports.ts';
import type { Finding, Rule, SourceFile } from '../source-file.ts';

/** A room may import from rooms of a lower level only. Normative picture: ARCHITECTURE.md, Rooms. */
const LEVELS: ReadonlyMap<string, number> = new Map([
  ['kit', 0],
  ['events', 1],
  ['brokers', 2],
  ['channels', 2],
  ['access', 2],
  ['supergraph', 2],
  ['ingest', 3],
  ['live', 3],
  ['gateway', 3],
  ['registry', 3],
  ['server', 4],
  ['cli', 5],
]);

/** Ports between rooms of one level: files that a room may import although their room is none of its business. */
const PORTS: ReadonlyMap<string, readonly string[]> = new Map([
  ['transports', ['live/session.ts', 'live/transport.ts', 'live/close-reasons.ts']],
  ['gateway', ['live/session.ts', 'live/operations.ts']],
]);

/** What each tree of the repository may reach by relative path. */
const TREES: readonly (readonly [string, readonly string[]])[] = [
  ['packages/server/', ['packages/server/']],
  ['packages/client/', ['packages/client/']],
  ['packages/console/', ['packages/console/']],
  ['examples/', ['examples/', 'packages/']],
  // Tokens of the development issuer stand in for an identity provider.
  ['e2e/', ['e2e/', 'examples/', 'packages/client/', 'packages/server/src/access/dev-tokens.ts']],
  ['chaos/', ['chaos/', 'tools/services/', 'packages/server/src/access/dev-tokens.ts']],
];

const SERVER = 'packages/server/src/';

export const importDirection: Rule = {
  name: 'import-direction',
  check: ({ files }) => files.filter((file) => file.isCode).flatMap(check),
};

function check(file: SourceFile): Finding[] {
  return importsOf(file).flatMap(({ specifier, line }) => {
    const target = resolveImport(file.path, specifier);
    const message = target === null ? null : (outOfTree(file, target) ?? (file.isTest ? null : againstTheStream(file.path, target)));
    return message === null ? [] : [{ rule: 'import-direction', path: file.path, line, message }];
  });
}

/** Tests of one package may use the test servers of another, and every test the real servers of tools/services. */
function outOfTree({ path: from, isTest }: SourceFile, target: string): string | null {
  const tree = TREES.find(([prefix]) => from.startsWith(prefix));
  if (isTest && from.startsWith('packages/') && target.startsWith('packages/')) return null;
  if (isTest && target.startsWith('tools/services/')) return null;
  if (!tree || tree[1].some((prefix) => target.startsWith(prefix))) return null;
  return `${tree[0]} may not reach into ${target}`;
}

function againstTheStream(from: string, target: string): string | null {
  if (!from.startsWith(SERVER) || !target.startsWith(SERVER)) return null;
  const [room, other] = [roomOf(from), roomOf(target)];
  if (room === null || other === null || room === other) return null;
  const inRoom = target.slice(SERVER.length);
  if (PORTS.get(room)?.includes(inRoom)) return null;
  const [level, otherLevel] = [LEVELS.get(room), LEVELS.get(other)];
  if (room === 'transports')
    return other === 'kit' ? null : `transports may import only kit and ${PORTS.get(room)!.join(', ')}, not ${inRoom}`;
  if (other === 'transports') return level === LEVELS.get('server') ? null : `only server wires transports, not ${room}`;
  if (level === undefined || otherLevel === undefined)
    return `the room ${level === undefined ? room : other} has no place in the order of rooms (tools/tidy/rules/import-direction.ts)`;
  return otherLevel < level ? null : `${room} may not import ${inRoom}: rooms import from lower rooms only`;
}

/** Null for files beside the rooms (`index.ts`), which may import all of them. */
function roomOf(path: string): string | null {
  const steps = path.slice(SERVER.length).split('/');
  return steps.length > 1 ? steps[0]! : null;
}
