/** The parser's tree, whatever its nodes are. */
type Tree = Readonly<Record<string, unknown>>;

export function stringOf(node: unknown): string | undefined {
  const text = isTree(node) ? node['String'] : undefined;
  return isTree(text) ? textOf(text['sval']) : undefined;
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null;
}
