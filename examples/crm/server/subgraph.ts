import { buildASTSchema, concatAST, execute, GraphQLError, type GraphQLSchema, parse, specifiedRules, validate } from 'graphql';
import { companyOf } from './companies.ts';
import { HttpError, readJson, type Running, sendJson, serve } from './http.ts';

/**
 * What every resolver is told about the caller. The gateway sets the header `millrace-tenant` from verified claims; a subgraph
 * never looks at a token and must be reachable by the gateway only.
 */
export type Caller = { readonly tenant: string };

type Arguments = Readonly<Record<string, unknown>>;
export type RootResolver = (args: Arguments, caller: Caller) => unknown;
/** Finds one entity by its key, as the representation gives it. Null or undefined: there is none for this caller. */
export type EntityResolver = (key: Arguments, caller: Caller) => unknown;

export type Subgraph = {
  readonly sdl: string;
  /** Fields of Query and Mutation by name. Other fields are read from what these return: properties or methods. */
  readonly root: Readonly<Record<string, RootResolver>>;
  readonly entities: Readonly<Record<string, EntityResolver>>;
};

/** The parts of the federation subgraph specification that a gateway calls; written out here because it is this short. */
export function subgraphSchema(subgraph: Subgraph): GraphQLSchema {
  const federation = `
    scalar _Any
    type _Service { sdl: String! }
    union _Entity = ${Object.keys(subgraph.entities).join(' | ')}
    extend type Query { _service: _Service!  _entities(representations: [_Any!]!): [_Entity]! }
  `;
  // Directives such as @key and @live mean nothing to a subgraph at run time, so their definitions are not asked for.
  return buildASTSchema(concatAST([parse(subgraph.sdl), parse(federation)]), { assumeValidSDL: true });
}

/** Serves GraphQL over HTTP POST at `/graphql`. */
export async function serveSubgraph(subgraph: Subgraph, port: number): Promise<Running> {
  const schema = subgraphSchema(subgraph);
  const rootValue = rootOf(subgraph);
  const running = await serve(port, async (request, response) => {
    if (request.method !== 'POST' || request.url?.split('?')[0] !== '/graphql') throw new HttpError(404, 'POST /graphql is all there is');
    const { query, variables, operationName } = await readJson(request);
    if (typeof query !== 'string') throw new HttpError(400, 'query: expected a string');
    const tenant = request.headers['millrace-tenant'];
    sendJson(response, 200, await answer(schema, rootValue, query, variables, operationName, typeof tenant === 'string' ? tenant : ''));
  });
  return { ...running, url: `${running.url}/graphql` };
}

async function answer(
  schema: GraphQLSchema,
  rootValue: unknown,
  query: string,
  variables: unknown,
  operationName: unknown,
  tenant: string,
) {
  try {
    const document = parse(query, { maxTokens: 20_000 });
    const errors = validate(schema, document, specifiedRules);
    if (errors.length > 0) return { errors };
    return await execute({
      schema,
      document,
      rootValue,
      contextValue: { tenant } satisfies Caller,
      variableValues: typeof variables === 'object' ? (variables as Record<string, unknown> | null) : null,
      operationName: typeof operationName === 'string' ? operationName : null,
    });
  } catch (error) {
    if (error instanceof GraphQLError) return { errors: [error] };
    throw error;
  }
}

function rootOf(subgraph: Subgraph): Record<string, unknown> {
  const root: Record<string, unknown> = {
    _service: { sdl: subgraph.sdl },
    _entities: ({ representations }: { representations: readonly Arguments[] }, caller: Caller) => {
      requireTenant(caller);
      return representations.map((key) => entityOf(subgraph, key, caller));
    },
  };
  for (const [name, resolve] of Object.entries(subgraph.root)) {
    root[name] = (args: Arguments, caller: Caller) => {
      requireTenant(caller);
      return resolve(args, caller);
    };
  }
  return root;
}

function entityOf(subgraph: Subgraph, key: Arguments, caller: Caller): unknown {
  const type = typeof key['__typename'] === 'string' ? key['__typename'] : '';
  const resolve = Object.hasOwn(subgraph.entities, type) ? subgraph.entities[type] : undefined;
  if (!resolve) throw new GraphQLError(`no entity type "${type}" here`);
  const entity = resolve(key, caller);
  return entity ? Object.assign(entity, { __typename: type }) : null;
}

/** Without a tenant there is no data at all: a missing header must not read as "every company". */
function requireTenant(caller: Caller): void {
  if (companyOf(caller.tenant)) return;
  const got = caller.tenant === '' ? 'none' : `"${caller.tenant}"`;
  throw new GraphQLError(`the header millrace-tenant must name a company, got ${got}`, { extensions: { code: 'UNAUTHENTICATED' } });
}
