import { changesCatalogsOnly, findsTable, worksOnAllTables } from './catalogsOnly.ts';
import { beyondNamedTable } from './citusCalls.ts';
import type { Grammar } from './grammar.ts';
import { bodiesOf, holdsParts, readsParts, WITH_PARTS } from './literalParts.ts';
import { relationIn, type TouchedName } from './relationName.ts';
import { isTree, stringOf, textOf } from './tree.ts';

/** What a statement names, as far as its text tells, and so whose code it could run. */
export type Touches =
  /** It changes catalogs only, and evaluates nothing of the objects that it names. */
  | { readonly kind: 'catalogs' }
  | {
      readonly kind: 'objects';
      /** In which names of schemas are looked for. */
      readonly statement: string;
      /** Texts that may name a relation (`create_distributed_table('t', …)`) among them. */
      readonly relations: readonly TouchedName[];
      readonly functions: readonly string[];
      readonly types: readonly string[];
      readonly operators: readonly string[];
      /** Schemas that are named alone (CREATE EXTENSION … SCHEMA …). */
      readonly schemas: readonly string[];
      /** It changes rows: triggers run. */
      readonly writes: boolean;
      /** It names no table, and works on all of them (VACUUM, ANALYZE, REINDEX, CLUSTER). */
      readonly allTables: boolean;
    }
  /** What it touches cannot be told from its text. */
  | { readonly kind: 'anything'; readonly why: string };

/** For one statement. */
export function touchesOf(sql: string, grammar: Grammar): Touches {
  const parsed = grammar.parse(sql);
  const [statement] = parsed.kind === 'parsed' ? parsed.statements : [];
  if (statement === undefined) return { kind: 'anything', why: 'this program cannot read it' };
  const { node } = statement;
  if ('DoStmt' in node) return { kind: 'anything', why: 'a DO block can touch anything' };
  if (executesPrepared(node)) return { kind: 'anything', why: 'EXECUTE can touch anything' };
  if ('CreateFunctionStmt' in node && bodiesOf(node).some((body) => holdsParts(body, grammar))) {
    return { kind: 'anything', why: `the body of the function has ${WITH_PARTS}` };
  }
  if (changesCatalogsOnly(node) && !readsParts(node)) {
    const table = findsTable(node);
    return table === undefined ? { kind: 'catalogs' } : { ...NOTHING_NAMED, relations: [table] };
  }
  const beyond = beyondNamedTable(node);
  if (beyond !== undefined) return { kind: 'anything', why: beyond };
  const found: Found = { relations: [], functions: new Set(), types: new Set(), operators: new Set(), schemas: [] };
  collect(node, found);
  const unnamed = [...found.functions].find((name) => ON_UNNAMED_TABLES.has(name));
  if (unnamed !== undefined) return { kind: 'anything', why: `${unnamed}() works on tables that it does not name` };
  return {
    kind: 'objects',
    statement: sql,
    relations: found.relations,
    functions: [...found.functions],
    types: [...found.types],
    operators: [...found.operators],
    schemas: found.schemas,
    writes: changesRows(node),
    allTables: worksOnAllTables(node),
  };
}

/** What stands in for a statement that changes catalogs only. */
export const NOTHING_NAMED = {
  kind: 'objects',
  statement: '',
  relations: [],
  functions: [],
  types: [],
  operators: [],
  schemas: [],
  writes: false,
  allTables: false,
} as const;

const CHANGING = ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'TruncateStmt', 'CopyStmt'] as const;

/** Also within EXPLAIN, or WITH … AS (DELETE …). */
function changesRows(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(changesRows);
  return isTree(value) && (CHANGING.some((kind) => kind in value) || Object.values(value).some(changesRows));
}

/**
 * Functions with which Citus makes, copies or moves whatever there is, as superuser, or that read whatever they are told to
 * (Citus documentation, "Citus Utility Functions"; PostgreSQL documentation, "Mapping Tables to XML").
 */
const ON_UNNAMED_TABLES: ReadonlySet<string> = new Set([
  ...['citus_activate_node', 'citus_add_inactive_node', 'citus_add_node', 'citus_add_secondary_node'],
  ...['master_activate_node', 'master_add_inactive_node', 'master_add_node', 'master_add_secondary_node'],
  ...['start_metadata_sync_to_all_nodes', 'start_metadata_sync_to_node'],
  ...['citus_copy_shard_placement', 'citus_move_shard_placement', 'citus_split_shard_by_split_points'],
  ...['master_copy_shard_placement', 'master_move_shard_placement', 'isolate_tenant_to_new_shard'],
  ...['citus_drain_node', 'master_drain_node', 'citus_rebalance_start', 'rebalance_table_shards'],
  ...['replicate_reference_tables', 'replicate_table_shards', 'citus_schema_distribute', 'citus_schema_move'],
  ...['run_command_on_all_nodes', 'run_command_on_colocated_placements', 'run_command_on_coordinator'],
  ...['run_command_on_placements', 'run_command_on_shards', 'run_command_on_workers', 'master_run_on_worker'],
  ...[
    'cursor_to_xml',
    'database_to_xml',
    'database_to_xml_and_xmlschema',
    'query_to_xml',
    'query_to_xml_and_xmlschema',
  ],
  ...['query_to_xmlschema', 'schema_to_xml', 'schema_to_xml_and_xmlschema', 'ts_rewrite', 'ts_stat'],
  ...['citus_schema_undistribute', 'citus_promote_clone_and_rebalance', 'remove_local_tables_from_metadata'],
  // Of pg_partman.
  ...['run_maintenance', 'run_maintenance_proc'],
]);

/** Of what only sets the session up: whether it evaluates more than constants. */
export function evaluates(sql: string, grammar: Grammar): boolean {
  const parsed = grammar.parse(sql);
  if (parsed.kind === 'error') return false;
  // SELECT set_config(…): what it passes may be anything.
  return parsed.statements.some(({ node }) => 'PrepareStmt' in node || ('SelectStmt' in node && passesMore(node)));
}

function passesMore(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(passesMore);
  if (!isTree(value)) return false;
  if ('SubLink' in value || 'ColumnRef' in value || 'A_Expr' in value) return true;
  const { FuncCall: call, TypeCast: cast } = value;
  if (isTree(call) && lastName(call['funcname']) !== 'set_config') return true;
  if (isTree(cast) && isTree(cast['typeName']) && lastName(cast['typeName']['names']) !== 'text') return true;
  return Object.values(value).some(passesMore);
}

/** EXPLAIN EXECUTE, CREATE TABLE … AS EXECUTE. */
function executesPrepared(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(executesPrepared);
  return isTree(value) && ('ExecuteStmt' in value || Object.values(value).some(executesPrepared));
}

interface Found {
  readonly relations: TouchedName[];
  readonly functions: Set<string>;
  readonly types: Set<string>;
  readonly operators: Set<string>;
  readonly schemas: string[];
}

/** Every node of the tree, whatever its kind: what nobody thought of counts as well. */
function collect(value: unknown, found: Found): void {
  if (Array.isArray(value)) {
    for (const item of value) collect(item, found);
    return;
  }
  if (!isTree(value)) return;
  if (typeof value['relname'] === 'string') {
    found.relations.push({ schema: textOf(value['schemaname']), name: value['relname'] });
  }
  const { A_Const: constant, A_Expr: expression, CreateExtensionStmt: extension, AlterDomainStmt: domain } = value;
  // Of a call, and of CREATE TRIGGER and CREATE EVENT TRIGGER.
  addLast(value['funcname'], found.functions);
  if (isTree(value['typeName'])) addLast(value['typeName']['names'], found.types);
  if (isTree(value['TypeName'])) addLast(value['TypeName']['names'], found.types);
  if (isTree(domain)) addLast(domain['typeName'], found.types);
  if (isTree(expression)) addLast(expression['name'], found.operators);
  if (isTree(constant) && isTree(constant['sval'])) addText(textOf(constant['sval']['sval']), found.relations);
  if (isTree(extension)) found.schemas.push(...schemaOption(extension['options']));
  for (const child of Object.values(value)) collect(child, found);
}

function addLast(names: unknown, to: Set<string>): void {
  const last = lastName(names);
  if (last !== undefined) to.add(last);
}

function lastName(names: unknown): string | undefined {
  return Array.isArray(names) ? stringOf(names.at(-1)) : undefined;
}

function addText(text: string | undefined, to: TouchedName[]): void {
  const named = relationIn(text);
  if (named !== undefined) to.push(named);
}

function schemaOption(options: unknown): readonly string[] {
  if (!Array.isArray(options)) return [];
  return options.flatMap((option: unknown) => {
    const element = isTree(option) ? option['DefElem'] : undefined;
    if (!isTree(element) || element['defname'] !== 'schema') return [];
    return stringOf(element['arg']) ?? [];
  });
}
