import { buildSchema, execute, type ExecutionResult, getOperationAST, getVariableValues, GraphQLError, parse, validate } from 'graphql';
import type { LiveType } from '../../events/live-type.ts';
import type {
  Generation,
  GenerationLease,
  Generations,
  OperationCall,
  PreparedOperation,
  SubscriptionPlan,
} from '../../supergraph/generation.ts';

const schema = buildSchema(`
  type Query { hello(name: String): String, fail(how: String!): String }
  type Mutation { say(word: String!): String }
  type Subscription { dealEvent: String, ticks: Int }
`);

/** A generation over a tiny schema, and a Generations that counts its leases. */
export class FakeGenerations implements Generations {
  leases = 0;
  released = 0;
  readonly calls: OperationCall[] = [];
  /** What `fail(how:)` throws, by name. */
  readonly failures = new Map<string, unknown>();
  /** Replaces the upstream of `ticks`. */
  ticks: AsyncIterable<ExecutionResult> | null = null;
  /** Makes `prepare` reject. */
  broken: Error | null = null;

  lease(): GenerationLease {
    this.leases++;
    let released = false;
    return {
      generation: this.#generation(),
      release: () => {
        if (released) throw new Error('a lease was released twice');
        released = true;
        this.released++;
      },
    };
  }

  get held(): number {
    return this.leases - this.released;
  }

  onSwap(): () => void {
    return () => undefined;
  }

  async close(): Promise<void> {}

  #generation(): Generation {
    return {
      number: 1,
      digest: 'fake',
      schema,
      liveTypes: [],
      prepare: async ({ query, operationName }) => {
        if (this.broken) throw this.broken;
        try {
          const document = parse(query);
          const errors = validate(schema, document);
          if (errors.length) return { kind: 'invalid', phase: 'validate', errors };
          if (query.includes('alias29')) {
            return {
              kind: 'invalid',
              phase: 'limit',
              errors: [new GraphQLError('30 aliases, at most 20', { extensions: { code: 'ALIAS_LIMIT' } })],
            };
          }
          return { kind: 'operation', operation: this.#operation(query, operationName) };
        } catch (thrown) {
          return { kind: 'invalid', phase: 'parse', errors: [thrown as GraphQLError] };
        }
      },
    };
  }

  #operation(query: string, operationName: string | null): PreparedOperation {
    const document = parse(query);
    const definition = getOperationAST(document, operationName)!;
    return {
      type: definition.operation,
      name: operationName,
      normalised: query,
      coerceVariables: (raw) => {
        const coerced = getVariableValues(schema, definition.variableDefinitions ?? [], raw);
        return coerced.errors ? { errors: coerced.errors } : { values: coerced.coerced };
      },
      execute: async (call) => {
        this.calls.push(call);
        const rootValue = {
          hello: ({ name }: { name?: string }) => `hello ${name ?? 'world'}`,
          fail: ({ how }: { how: string }) => {
            throw this.failures.get(how);
          },
          say: ({ word }: { word: string }) => word,
        };
        return execute({ schema, document, operationName, rootValue, variableValues: call.variables });
      },
      subscription: definition.operation === 'subscription' ? this.#plan(query) : null,
    };
  }

  #plan(query: string): SubscriptionPlan {
    if (query.includes('ticks')) {
      return {
        kind: 'passthrough',
        subgraph: 'clock',
        start: (call) => {
          this.calls.push(call);
          return this.ticks!;
        },
      };
    }
    return {
      kind: 'live',
      liveType: { name: 'Deal' } as LiveType,
      field: 'dealEvent',
      responseKey: 'dealEvent',
      arguments: () => ({}),
      enriches: () => false,
      complete: () => ({ text: '{"data":{}', errors: 0 }),
      enrich: async () => ({ text: '{"data":{}', errors: 0 }),
    };
  }
}
