import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
  getOperationAST,
  parse,
  print,
  visit,
} from 'graphql';
import { type ErrorSpec } from '../kit/errors.ts';
import { supergraphErrors } from './errors.ts';

/** What one operation of a document is made of, without what it does not use. */
export type OperationDocument = {
  readonly operation: OperationDefinitionNode;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** The operation and the fragments it reaches. */
  readonly document: DocumentNode;
};

export type OperationLimits = {
  /** Lexical tokens of a document; checked while parsing. */
  readonly tokensMax: number;
  /** Levels of fields. */
  readonly depthMax: number;
  readonly aliasesMax: number;
  readonly rootFieldsMax: number;
  readonly directivesMax: number;
  /** Selections of the operation with every fragment written out where it is spread: what planning and compiling really cost. */
  readonly fieldsMax: number;
};

export const OPERATION_LIMITS: OperationLimits = {
  tokensMax: 10_000,
  depthMax: 30,
  aliasesMax: 100,
  rootFieldsMax: 100,
  directivesMax: 200,
  fieldsMax: 5_000,
};

export type Parsed =
  | { readonly kind: 'document'; readonly document: DocumentNode }
  | { readonly kind: 'invalid'; readonly phase: 'parse' | 'limit'; readonly errors: readonly GraphQLError[] };

export function parseOperations(query: string, limits: OperationLimits): Parsed {
  try {
    return { kind: 'document', document: parse(query, { maxTokens: limits.tokensMax }) };
  } catch (error) {
    // The parser recurses: brackets by the thousand end its stack, which is the document's fault and not ours.
    if (error instanceof RangeError) return refused('DEPTH_LIMIT', 'the document is nested too deeply to be read');
    if (!(error instanceof GraphQLError)) throw error;
    if (/more tha[nt] \d+ tokens/.test(error.message))
      return refused('TOKEN_LIMIT', `the document has more than ${limits.tokensMax} tokens`);
    return { kind: 'invalid', phase: 'parse', errors: [withCode(error, 'GRAPHQL_PARSE_FAILED')] };
  }
}

export function withCode(error: GraphQLError, code: string): GraphQLError {
  return new GraphQLError(error.message, {
    ...(error.nodes ? { nodes: error.nodes } : {}),
    source: error.source,
    positions: error.positions,
    path: error.path,
    extensions: { code, ...error.extensions },
  });
}

function refused(code: keyof typeof supergraphErrors, message: string): Parsed & { kind: 'invalid' } {
  const spec: ErrorSpec = supergraphErrors[code];
  return { kind: 'invalid', phase: 'limit', errors: [new GraphQLError(message, { extensions: { code: spec.code } })] };
}

/** Null where the name names no operation, or where a name is needed. */
export function selectOperation(document: DocumentNode, operationName: string | null): OperationDocument | null {
  const operation = getOperationAST(document, operationName);
  if (!operation) return null;
  const all = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) all.set(definition.name.value, definition);
  const fragments = new Map<string, FragmentDefinitionNode>();
  const queue: (OperationDefinitionNode | FragmentDefinitionNode)[] = [operation];
  for (let next = queue.pop(); next; next = queue.pop()) {
    visit(next, {
      FragmentSpread(spread) {
        const fragment = all.get(spread.name.value);
        if (!fragment || fragments.has(spread.name.value)) return;
        fragments.set(spread.name.value, fragment);
        queue.push(fragment);
      },
    });
  }
  return { operation, fragments, document: { kind: Kind.DOCUMENT, definitions: [operation, ...fragments.values()] } };
}

/** The text that identifies the operation: no comments, no unused fragments, one way of writing. */
export function normalise(selected: OperationDocument): string {
  return print(selected.document);
}

/** The same for the planner, whose parser (0.0.38) refuses some floats with an exponent (`1e9`, though not `1e10`): they are written out. */
export function plannerText(selected: OperationDocument): string {
  return print(visit(selected.document, { FloatValue: (node) => ({ ...node, value: plainDecimal(node.value) }) }));
}

function plainDecimal(float: string): string {
  if (!/e/i.test(float)) return float;
  const plain = String(Number(float));
  // From 1e21 on and below 1e-6 JavaScript itself writes an exponent.
  if (!/^-?[\d.]+$/.test(plain)) return float;
  return plain.includes('.') ? plain : `${plain}.0`;
}

/** Null where the operation is within its limits. Runs before validation, whose time grows with the square of some of these; safe on cyclic fragments. */
export function checkLimits(selected: OperationDocument, limits: OperationLimits): (Parsed & { kind: 'invalid' }) | null {
  const count = { aliases: 0, directives: 0 };
  visit(selected.document, {
    Field(field) {
      if (field.alias) count.aliases++;
    },
    Directive() {
      count.directives++;
    },
  });
  if (count.aliases > limits.aliasesMax)
    return refused('ALIAS_LIMIT', `the operation has ${count.aliases} aliases; ${limits.aliasesMax} are allowed`);
  if (count.directives > limits.directivesMax)
    return refused('DIRECTIVE_LIMIT', `the operation has ${count.directives} directives; ${limits.directivesMax} are allowed`);
  const roots = rootFields(selected).length;
  if (roots > limits.rootFieldsMax)
    return refused('ROOT_FIELD_LIMIT', `the operation has ${roots} root fields; ${limits.rootFieldsMax} are allowed`);
  const depth = depthOf(selected.operation.selectionSet, selected.fragments, new Map());
  if (depth > limits.depthMax) return refused('DEPTH_LIMIT', `the operation is ${depth} levels deep; ${limits.depthMax} are allowed`);
  // The planner writes fragments out: some fragments that each spread the next one twice keep it busy for minutes and in gigabytes.
  if (fieldsWrittenOut(selected) > limits.fieldsMax)
    return refused('FIELD_LIMIT', `the operation has more than ${limits.fieldsMax} fields once its fragments are written out`);
  return null;
}

/** How many selections there are with fragments written out. Takes time linear in the document, however often its fragments multiply. */
export function fieldsWrittenOut(selected: OperationDocument): number {
  return writtenOut(selected.operation.selectionSet, selected.fragments, new Map());
}

function writtenOut(set: SelectionSetNode, fragments: OperationDocument['fragments'], known: Map<SelectionSetNode, number>): number {
  const cached = known.get(set);
  if (cached !== undefined) return cached;
  known.set(set, 0);
  const spread = new Set<string>();
  let count = 0;
  for (const selection of set.selections) {
    count += 1;
    if (selection.kind === Kind.FRAGMENT_SPREAD && !selection.directives?.length) {
      // The very same spread beside itself adds nothing, to the planner neither.
      if (spread.has(selection.name.value)) continue;
      spread.add(selection.name.value);
    }
    const inner = selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value)?.selectionSet : selection.selectionSet;
    if (inner) count += writtenOut(inner, fragments, known);
  }
  known.set(set, count);
  return count;
}

function depthOf(set: SelectionSetNode, fragments: OperationDocument['fragments'], known: Map<SelectionSetNode, number>): number {
  const cached = known.get(set);
  if (cached !== undefined) return cached;
  known.set(set, 0);
  let depth = 0;
  for (const selection of set.selections) {
    if (selection.kind === Kind.FIELD)
      depth = Math.max(depth, 1 + (selection.selectionSet ? depthOf(selection.selectionSet, fragments, known) : 0));
    else {
      const inner = selection.kind === Kind.INLINE_FRAGMENT ? selection.selectionSet : fragments.get(selection.name.value)?.selectionSet;
      if (inner) depth = Math.max(depth, depthOf(inner, fragments, known));
    }
  }
  known.set(set, depth);
  return depth;
}

/** Fields of the root, those within fragments included. */
export function rootFields(selected: OperationDocument): readonly FieldNode[] {
  const fields: FieldNode[] = [];
  const seen = new Set<SelectionSetNode>();
  const walk = (set: SelectionSetNode): void => {
    if (seen.has(set)) return;
    seen.add(set);
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) fields.push(selection);
      else {
        const inner =
          selection.kind === Kind.INLINE_FRAGMENT ? selection.selectionSet : selected.fragments.get(selection.name.value)?.selectionSet;
        if (inner) walk(inner);
      }
    }
  };
  walk(selected.operation.selectionSet);
  return fields;
}

const LOCAL = new Set(['__typename', '__schema', '__type']);

/** The part that subgraphs answer and the part that the schema itself answers. `data` is null where nothing is left for subgraphs. */
export function splitIntrospection(selected: OperationDocument): {
  readonly data: OperationDocument | null;
  readonly introspection: DocumentNode | null;
} {
  const names = rootFields(selected).map((field) => field.name.value);
  if (!names.some((name) => LOCAL.has(name))) return { data: selected, introspection: null };
  const data = keepRoots(selected, (name) => !LOCAL.has(name));
  const introspection = keepRoots(selected, (name) => name === '__schema' || name === '__type');
  return { data, introspection: introspection?.document ?? null };
}

function keepRoots(selected: OperationDocument, keep: (name: string) => boolean): OperationDocument | null {
  const spread = new Set<string>();
  const filter = (set: SelectionSetNode): SelectionNode[] =>
    set.selections.flatMap((selection): SelectionNode[] => {
      if (selection.kind === Kind.FIELD) return keep(selection.name.value) ? [selection] : [];
      // The same spread a second time adds nothing; fragments that spread each other twice would double with every level.
      const text = selection.kind === Kind.FRAGMENT_SPREAD ? print(selection) : '';
      if (text !== '' && spread.has(text)) return [];
      spread.add(text);
      const inner = selection.kind === Kind.INLINE_FRAGMENT ? selection : selected.fragments.get(selection.name.value);
      const kept = inner ? filter(inner.selectionSet) : [];
      if (kept.length === 0) return [];
      return [
        {
          kind: Kind.INLINE_FRAGMENT,
          directives: selection.directives ?? [],
          selectionSet: { kind: Kind.SELECTION_SET, selections: kept },
        },
      ];
    });
  const selections = filter(selected.operation.selectionSet);
  if (selections.length === 0) return null;
  const operation = { ...selected.operation, selectionSet: { kind: Kind.SELECTION_SET, selections } as const };
  return selectOperation({ kind: Kind.DOCUMENT, definitions: [operation, ...selected.fragments.values()] }, null);
}
