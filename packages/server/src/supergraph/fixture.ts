import {
  type GraphQLFieldResolver,
  type GraphQLSchema,
  GraphQLUnionType,
  Kind,
  buildASTSchema,
  graphql,
  isObjectType,
  parse,
  printSchema,
} from 'graphql';
import { systemClock } from '../kit/clock.ts';
import { type ComposeOptions, type ServiceInput, composeRelease } from './compose.ts';
import type { Generation, OperationCall, SubgraphAnswer, SubgraphClient, SubgraphRequest } from './generation.ts';
import { type GenerationsOptions, type ManagedGenerations, createGenerations } from './generations.ts';
import type { Release } from './release.ts';

/** Subgraphs within the test's process: real GraphQL execution, no sockets. Only tests import this. */
export type TestSubgraph = {
  readonly sdl: string;
  readonly mappingSdl?: string;
  /** Resolvers by type and field; `__resolveReference` of an entity gets the representation. */
  readonly resolvers: Readonly<Record<string, Readonly<Record<string, (source: never, args: never) => unknown>>>>;
};

const FEDERATION = 'https://specs.apollo.dev/federation/v2.3';
const IMPORTS = ['@key', '@shareable', '@external', '@requires', '@provides', '@override', '@inaccessible', '@interfaceObject'];

/** A federation 2 schema without the line that every one of them starts with. */
export function federated(sdl: string): string {
  return `extend schema @link(url: "${FEDERATION}", import: [${IMPORTS.map((name) => `"${name}"`).join(', ')}])\n${sdl}`;
}

function executable(subgraph: TestSubgraph): GraphQLSchema {
  const document = parse(subgraph.sdl);
  const entities = document.definitions.flatMap((definition) =>
    definition.kind === Kind.OBJECT_TYPE_DEFINITION && definition.directives?.some((directive) => directive.name.value === 'key')
      ? [definition.name.value]
      : [],
  );
  const extra = entities.length
    ? `scalar _Any\nunion _Entity = ${entities.join(' | ')}\nextend type Query { _entities(representations: [_Any!]!): [_Entity]! }`
    : '';
  const plain = document.definitions.filter((definition) => definition.kind !== Kind.SCHEMA_EXTENSION);
  const merged = mergeQuery([...plain, ...parse(extra || 'scalar _Any').definitions]);
  const schema = buildASTSchema({ kind: Kind.DOCUMENT, definitions: merged }, { assumeValidSDL: true, assumeValid: true });
  attach(schema, subgraph.resolvers);
  return schema;
}

type Definitions = ReturnType<typeof parse>['definitions'];

function mergeQuery(definitions: Definitions): Definitions {
  const extension = definitions.find((definition) => definition.kind === Kind.OBJECT_TYPE_EXTENSION && definition.name.value === 'Query');
  const others = definitions.filter((definition) => definition !== extension);
  if (extension?.kind !== Kind.OBJECT_TYPE_EXTENSION) return others;
  if (!others.some((definition) => definition.kind === Kind.OBJECT_TYPE_DEFINITION && definition.name.value === 'Query'))
    return [...others, { ...extension, kind: Kind.OBJECT_TYPE_DEFINITION }];
  return others.map((definition) =>
    definition.kind === Kind.OBJECT_TYPE_DEFINITION && definition.name.value === 'Query'
      ? { ...definition, fields: [...(definition.fields ?? []), ...(extension.fields ?? [])] }
      : definition,
  );
}

function attach(schema: GraphQLSchema, resolvers: TestSubgraph['resolvers']): void {
  for (const [typeName, fields] of Object.entries(resolvers)) {
    const type = schema.getType(typeName);
    if (!isObjectType(type)) continue;
    for (const [name, resolver] of Object.entries(fields)) {
      const field = type.getFields()[name];
      if (field)
        field.resolve = ((source: unknown, args: unknown) => resolver(source as never, args as never)) as GraphQLFieldResolver<
          unknown,
          unknown
        >;
    }
  }
  const union = schema.getType('_Entity');
  if (union instanceof GraphQLUnionType) union.resolveType = (value: { __typename: string }) => value.__typename;
  const field = schema.getQueryType()?.getFields()['_entities'];
  if (!field) return;
  field.resolve = (_source, args: { representations: { __typename: string }[] }) =>
    args.representations.map(async (representation) => {
      const found = (await resolvers[representation.__typename]?.['__resolveReference']?.(representation as never, {} as never)) as
        | object
        | null
        | undefined;
      return found === undefined ? representation : found === null ? null : { ...found, __typename: representation.__typename };
    });
}

export type TestClient = SubgraphClient & {
  readonly requests: SubgraphRequest[];
  /** Set to decide what a subgraph does instead of answering. */
  intercept: ((request: SubgraphRequest) => Promise<SubgraphAnswer> | null) | null;
};

export function testClient(subgraphs: Readonly<Record<string, TestSubgraph>>): TestClient {
  const schemas = new Map(Object.entries(subgraphs).map(([name, subgraph]) => [name, executable(subgraph)]));
  const requests: SubgraphRequest[] = [];
  const client: TestClient = {
    requests,
    intercept: null,
    async execute(request) {
      requests.push(request);
      const intercepted = client.intercept?.(request);
      if (intercepted) return intercepted;
      const schema = schemas.get(request.operation.subgraph);
      if (!schema) throw new Error(`no subgraph ${request.operation.subgraph}`);
      const variableValues = JSON.parse(request.variables) as Record<string, unknown>;
      const result = await graphql({ schema, source: request.operation.query, variableValues });
      // As over HTTP: nothing but JSON comes back.
      return JSON.parse(JSON.stringify(result)) as SubgraphAnswer;
    },
    async *subscribe(request) {
      requests.push(request);
      const intercepted = client.intercept?.(request);
      if (intercepted) yield await intercepted;
    },
    async close() {},
  };
  return client;
}

export function composed(subgraphs: Readonly<Record<string, TestSubgraph>>, options: ComposeOptions = {}): Release {
  const services = Object.entries(subgraphs).map(([name, subgraph]): ServiceInput => ({
    name,
    sdl: subgraph.sdl,
    url: `http://${name}.invalid/graphql`,
    ...(subgraph.mappingSdl === undefined ? {} : { mappingSdl: subgraph.mappingSdl }),
  }));
  const composition = composeRelease(services, options);
  if ('errors' in composition) throw new Error(composition.errors.map((error) => error.message).join('\n'));
  return composition.ok;
}

export type TestGraph = {
  readonly client: TestClient;
  readonly generations: ManagedGenerations;
  readonly generation: Generation;
  query(query: string, variables?: Record<string, unknown>, call?: Partial<OperationCall>): Promise<unknown>;
  close(): Promise<void>;
};

export async function testGraph(
  subgraphs: Readonly<Record<string, TestSubgraph>>,
  options: Partial<GenerationsOptions> = {},
): Promise<TestGraph> {
  const client = testClient(subgraphs);
  const release = composed(subgraphs);
  const generations = createGenerations({
    source: { current: async () => release, watch: () => () => {} },
    client: () => client,
    ...options,
  });
  await generations.ready;
  const lease = generations.lease();
  if (!lease) throw new Error(`the supergraph was not built:\n${printSchema(executable(Object.values(subgraphs)[0] as TestSubgraph))}`);
  const { generation } = lease;
  return {
    client,
    generations,
    generation,
    async query(query, variables = {}, call = {}) {
      const prepared = await generation.prepare({ query, operationName: null });
      if (prepared.kind === 'invalid') return { phase: prepared.phase, errors: plain(prepared.errors) };
      const coerced = prepared.operation.coerceVariables(variables as never);
      if ('errors' in coerced) return { errors: plain(coerced.errors) };
      return plain(await prepared.operation.execute(testCall({ variables: coerced.values, ...call })));
    },
    async close() {
      lease.release();
      await generations.close();
    },
  };
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}

export function testCall(call: Partial<OperationCall> = {}): OperationCall {
  return { variables: {}, headers: {}, view: 'tenant-1', signal: null, deadline: systemClock.monotonic() + 20_000, ...call };
}
