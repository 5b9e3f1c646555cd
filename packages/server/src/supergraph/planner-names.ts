import type { PlanNode } from '@graphql-hive/router-query-planner';
import { type ConstDirectiveNode, Kind, parse, print, visit } from 'graphql';

export type PlannerNames = {
  /** What the planner is given. */
  readonly supergraphSdl: string;
  /** The plan under the names that subgraphs really have. */
  readonly restore: <T extends PlanNode | null | undefined>(node: T) => T | PlanNode;
};

/**
 * The planner (0.0.38) finds no way from an @interfaceObject to the types behind the interface where the name of its subgraph comes before the name
 * of the one with the interface. Where that is so, the planner gets names of which those with interface objects come last.
 */
export function plannerNames(supergraphSdl: string): PlannerNames {
  const document = parse(supergraphSdl, { noLocation: true });
  const objects = new Set<string>();
  const names = new Map<string, string>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.INTERFACE_TYPE_DEFINITION)
      for (const directive of definition.directives ?? [])
        if (value(directive, 'isInterfaceObject') === 'true') objects.add(value(directive, 'graph') ?? '');
    if (definition.kind === Kind.ENUM_TYPE_DEFINITION && definition.name.value === 'join__Graph')
      for (const graph of definition.values ?? []) names.set(graph.name.value, value(graph.directives?.[0], 'name') ?? '');
  }
  const last = [...names].filter(([graph]) => objects.has(graph)).map(([, name]) => name);
  const others = [...names].filter(([graph]) => !objects.has(graph)).map(([, name]) => name);
  if (!last.some((name) => others.some((other) => name < other))) return { supergraphSdl, restore: (node) => node };
  const given = new Map([...others.map((name) => [name, `0${name}`] as const), ...last.map((name) => [name, `1${name}`] as const)]);
  const real = new Map([...given].map(([name, other]) => [other, name]));
  return { supergraphSdl: renamed(supergraphSdl, given), restore: (node) => (node ? restored(node, real) : node) };
}

function renamed(supergraphSdl: string, given: ReadonlyMap<string, string>): string {
  return print(
    visit(parse(supergraphSdl, { noLocation: true }), {
      Directive(node) {
        if (node.name.value !== 'join__graph') return undefined;
        const args = (node.arguments ?? []).map((arg) =>
          arg.name.value === 'name' && arg.value.kind === Kind.STRING
            ? { ...arg, value: { ...arg.value, value: given.get(arg.value.value) ?? arg.value.value } }
            : arg,
        );
        return { ...node, arguments: args };
      },
    }),
  );
}

function restored(node: PlanNode, real: ReadonlyMap<string, string>): PlanNode {
  const inner = (child: PlanNode): PlanNode => restored(child, real);
  switch (node.kind) {
    case 'Sequence':
    case 'Parallel':
      return { ...node, nodes: node.nodes.map(inner) };
    case 'Condition':
      return {
        ...node,
        ...(node.ifClause ? { ifClause: inner(node.ifClause) } : {}),
        ...(node.elseClause ? { elseClause: inner(node.elseClause) } : {}),
      };
    case 'Flatten':
      return { ...node, node: inner(node.node) };
    case 'Subscription':
      return { ...node, primary: inner(node.primary) } as PlanNode;
    case 'Fetch':
    case 'BatchFetch':
      return { ...node, serviceName: real.get(node.serviceName) ?? node.serviceName };
    default:
      return node;
  }
}

function value(directive: ConstDirectiveNode | undefined, name: string): string | null {
  const given = directive?.arguments?.find((arg) => arg.name.value === name)?.value;
  if (given?.kind === Kind.BOOLEAN) return String(given.value);
  return given?.kind === Kind.STRING || given?.kind === Kind.ENUM ? given.value : null;
}
