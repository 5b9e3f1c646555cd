import {
  buildSchema,
  execute,
  getOperationAST,
  getVariableValues,
  type DocumentNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  parse,
  print,
  validate,
} from 'graphql';
import { kitErrors, MillraceError } from '../kit/errors.ts';
import type { Generation, PreparedOperation } from '../supergraph/generation.ts';

/**
 * What is served before the first schema was pushed: a schema that says what to do next, so that GraphiQL and health checks work on
 * an empty server. Small documents only; nothing is cached.
 */
const SDL = `
"This server has no schema yet. Push one: millrace schema push NAME ./schema.graphql --url http://localhost:4101/graphql"
type Query {
  "What to do next, in words. This field goes away with the first schema."
  _empty: String!
}
`;

const NEXT_STEP = 'No schema yet. Push one: millrace schema push NAME ./schema.graphql --url http://localhost:4101/graphql';
const MAX_TOKENS = 2_000;

const schema = buildSchema(SDL);

const generation: Generation = {
  number: 0,
  digest: 'empty',
  schema,
  liveTypes: [],
  async prepare({ query, operationName }) {
    let document: DocumentNode;
    try {
      document = parse(query, { maxTokens: MAX_TOKENS });
    } catch (thrown) {
      if (!(thrown instanceof GraphQLError)) throw thrown;
      return { kind: 'invalid', phase: 'parse', errors: [thrown] };
    }
    const errors = validate(schema, document);
    if (errors.length > 0) return { kind: 'invalid', phase: 'validate', errors };
    const operation = getOperationAST(document, operationName);
    if (!operation) {
      const named =
        operationName === null
          ? 'the document has several operations, or none: send operationName'
          : 'the document has no operation of that name';
      return { kind: 'invalid', phase: 'validate', errors: [new GraphQLError(named)] };
    }
    return { kind: 'operation', operation: prepared(document, operation, operationName) };
  },
};

/** Shared: it holds nothing that a lease would have to keep alive. */
export function emptyGeneration(): Generation {
  return generation;
}

function prepared(document: DocumentNode, operation: OperationDefinitionNode, operationName: string | null): PreparedOperation {
  return {
    type: operation.operation,
    name: operation.name?.value ?? null,
    normalised: print({ kind: Kind.DOCUMENT, definitions: document.definitions }),
    coerceVariables(raw) {
      const result = getVariableValues(schema, operation.variableDefinitions ?? [], raw);
      return result.errors ? { errors: result.errors } : { values: result.coerced ?? {} };
    },
    async execute(call) {
      try {
        return await execute({ schema, document, operationName, rootValue: { _empty: () => NEXT_STEP }, variableValues: call.variables });
      } catch (thrown) {
        throw new MillraceError(kitErrors.INTERNAL, 'internal error', {}, thrown);
      }
    },
    subscription: null,
  };
}
