import type { ConstValueNode, DirectiveNode, DocumentNode, SchemaDefinitionNode, SchemaExtensionNode } from 'graphql';

/** One `@link(url:, as:, import:)` of a schema. Specification: https://specs.apollo.dev/link/v1.0 */
export type SchemaLink = {
  readonly node: DirectiveNode;
  readonly url: string;
  /** The address without its version. */
  readonly identity: string;
  /** `v1.0`, or the empty string where the address has none. */
  readonly version: string;
  /** Names that are not imported are written `<namespace>__<name>`. */
  readonly namespace: string;
  /** Name in the specification (`@key`, `FieldSet`) to the name in this schema. */
  readonly imports: ReadonlyMap<string, string>;
};

const VERSION = /^v\d+\.\d+$/;

export function isSchemaNode(node: { readonly kind: string }): node is SchemaDefinitionNode | SchemaExtensionNode {
  return node.kind === 'SchemaDefinition' || node.kind === 'SchemaExtension';
}

export function schemaLinks(document: DocumentNode): readonly SchemaLink[] {
  const links: SchemaLink[] = [];
  for (const definition of document.definitions) {
    if (!isSchemaNode(definition)) continue;
    for (const directive of definition.directives ?? []) {
      const link = directive.name.value === 'link' || directive.name.value === 'core' ? readLink(directive) : null;
      if (link) links.push(link);
    }
  }
  return links;
}

/** The name under which this schema writes a directive of the linked specification. */
export function linkedDirective(link: SchemaLink, name: string): string {
  return link.imports.get(`@${name}`)?.slice(1) ?? (name === link.namespace ? name : `${link.namespace}__${name}`);
}

export function argument(directive: DirectiveNode, name: string): ConstValueNode | undefined {
  return directive.arguments?.find((candidate) => candidate.name.value === name)?.value as ConstValueNode | undefined;
}

function readLink(node: DirectiveNode): SchemaLink | null {
  const url = argument(node, 'url');
  if (url?.kind !== 'StringValue') return null;
  const parts = url.value.replace(/\/+$/, '').split('/');
  const last = parts.at(-1) ?? '';
  const version = VERSION.test(last) ? last : '';
  if (version) parts.pop();
  const as = argument(node, 'as');
  const imported = argument(node, 'import');
  const imports = new Map<string, string>();
  for (const value of imported?.kind === 'ListValue' ? imported.values : []) readImport(value, imports);
  return {
    node,
    url: url.value,
    identity: parts.join('/'),
    version,
    namespace: as?.kind === 'StringValue' ? as.value : (parts.at(-1) ?? ''),
    imports,
  };
}

function readImport(value: ConstValueNode, imports: Map<string, string>): void {
  if (value.kind === 'StringValue') imports.set(value.value, value.value);
  if (value.kind !== 'ObjectValue') return;
  const text = (field: string): string | null => {
    const found = value.fields.find((candidate) => candidate.name.value === field)?.value;
    return found?.kind === 'StringValue' ? found.value : null;
  };
  const name = text('name');
  if (name) imports.set(name, text('as') ?? name);
}
