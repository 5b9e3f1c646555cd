import { type DocumentNode, Kind, parse } from 'graphql';

/**
 * Which object types stand behind which interface or union, taken from the supergraph, hidden types included: subgraphs know those.
 */
export class TypeRelations {
  readonly #possible = new Map<string, Set<string>>();

  constructor(supergraph: string | DocumentNode) {
    const document = typeof supergraph === 'string' ? parse(supergraph, { noLocation: true }) : supergraph;
    for (const definition of document.definitions) {
      if (definition.kind === Kind.OBJECT_TYPE_DEFINITION || definition.kind === Kind.INTERFACE_TYPE_DEFINITION) {
        for (const parent of definition.interfaces ?? []) this.#add(parent.name.value, definition.name.value);
      } else if (definition.kind === Kind.UNION_TYPE_DEFINITION) {
        for (const member of definition.types ?? []) this.#add(definition.name.value, member.name.value);
      }
    }
  }

  #add(abstract: string, member: string): void {
    const members = this.#possible.get(abstract) ?? new Set();
    members.add(member);
    this.#possible.set(abstract, members);
  }

  /** Whether a value with `__typename: name` passes a condition on `condition`. */
  matches(name: unknown, condition: string): boolean {
    return name === condition || (typeof name === 'string' && (this.#possible.get(condition)?.has(name) ?? false));
  }

  matchesAny(name: unknown, conditions: readonly string[]): boolean {
    return conditions.some((condition) => this.matches(name, condition));
  }
}
