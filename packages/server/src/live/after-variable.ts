import { type FieldNode, Kind, parse, visit } from 'graphql';

/**
 * The variable that feeds the argument `after` of the one root field and is used nowhere else, or null. It says where a
 * subscription starts and not what it answers, so it must not part subscriptions into groups. `document` is normalised text,
 * which parses.
 */
export function afterVariable(document: string): string | null {
  const parsed = parse(document, { noLocation: true });
  const operation = parsed.definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  const root = operation?.selectionSet.selections.find((selection): selection is FieldNode => selection.kind === Kind.FIELD);
  const value = root?.arguments?.find((argument) => argument.name.value === 'after')?.value;
  if (value?.kind !== Kind.VARIABLE) return null;
  let uses = 0;
  // The definition of a variable counts as a use in `visit`; one more is the argument itself.
  visit(parsed, { Variable: (node) => void (uses += node.name.value === value.name.value ? 1 : 0) });
  return uses === 2 ? value.name.value : null;
}
