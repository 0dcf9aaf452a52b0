import type { Node } from 'libpg-query';
import type { TouchedName } from './relationName.ts';
import { isTree } from './tree.ts';

/**
 * Statements of which it is known, from the sources of PostgreSQL and Citus, that they evaluate nothing of what they name and
 * copy no rows. Whatever is not here is judged by the objects that it names. Not here although they look alike:
 *
 * - VACUUM, ANALYZE, REINDEX, CLUSTER, CREATE INDEX, REFRESH MATERIALIZED VIEW: they evaluate the expressions of indexes and
 *   statistics as the table's owner (PostgreSQL: SECURITY_RESTRICTED_OPERATION), and that may be the superuser.
 * - ALTER TABLE … SET SCHEMA: out of a tenant's schema, and into one, Citus copies the rows (Citus: commands/table.c,
 *   PreprocessAlterTableSchemaStmt(), ConvertToTenantTableIfNecessary()).
 *
 * Behind a statement that drops a constraint, Citus copies the rows of tables that are connected to no reference table any
 * more: of that guardInitSql.ts takes care, by a setting.
 */
const CATALOGS_ONLY = [
  'AlterDefaultPrivilegesStmt',
  'AlterOwnerStmt',
  'AlterRoleSetStmt',
  'AlterRoleStmt',
  'AlterSeqStmt',
  'CommentStmt',
  'CompositeTypeStmt',
  'CreateDomainStmt',
  'CreateEnumStmt',
  'CreateFunctionStmt',
  'CreateRoleStmt',
  'CreateSeqStmt',
  'DefineStmt',
  'DropRoleStmt',
  'DropStmt',
  'GrantRoleStmt',
  'GrantStmt',
  'ReassignOwnedStmt',
  'RenameStmt',
  'TransactionStmt',
  'VariableSetStmt',
  'ViewStmt',
] as const;

/**
 * ALTER TABLE rewrites and checks rows, as whoever runs it; these do not. REPLICA IDENTITY reads the expressions of an index,
 * in which PostgreSQL evaluates what is constant (relcache.c, RelationGetIndexExpressions()). CREATE TRIGGER, DROP COLUMN,
 * DROP NOT NULL and a foreign key read the partition key of a table, and so do the same (partcache.c,
 * RelationBuildPartitionKey()).
 */
const WITHOUT_ROWS: ReadonlySet<unknown> = new Set([
  'AT_ChangeOwner',
  'AT_ColumnDefault',
  'AT_DisableRowSecurity',
  'AT_DropConstraint',
  'AT_EnableRowSecurity',
  'AT_ForceRowSecurity',
  'AT_NoForceRowSecurity',
  'AT_SetOptions',
  'AT_SetRelOptions',
  'AT_SetStatistics',
]);

export function changesCatalogsOnly(node: Node): boolean {
  if (CATALOGS_ONLY.some((kind) => kind in node)) return true;
  // Of a function, a type and the like; a table, a view or a sequence is a relation.
  if ('AlterObjectSchemaStmt' in node) return node.AlterObjectSchemaStmt.relation === undefined;
  if ('CreateSchemaStmt' in node) return (node.CreateSchemaStmt.schemaElts ?? []).length === 0;
  if ('AlterTableStmt' in node) {
    const { cmds = [] } = node.AlterTableStmt;
    return cmds.every((command) => 'AlterTableCmd' in command && WITHOUT_ROWS.has(command.AlterTableCmd.subtype));
  }
  if (!('CreateStmt' in node)) return false;
  const { inhRelations = [], partbound, partspec, ofTypename, tableElts = [] } = node.CreateStmt;
  return (
    inhRelations.length === 0 &&
    partbound === undefined &&
    ofTypename === undefined &&
    !tableElts.some((element) => 'TableLikeClause' in element) &&
    !hasPlanned(tableElts) &&
    !hasExpression(partspec)
  );
}

/**
 * A foreign key reads the other table. Of generated columns, exclusion constraints and partition keys PostgreSQL evaluates
 * what is constant once it is in them, after functions in SQL were inlined (clauses.c,
 * contain_mutable_functions_after_planning(); tablecmds.c, ComputePartitionAttrs()).
 */
const PLANNED: ReadonlySet<unknown> = new Set(['CONSTR_FOREIGN', 'CONSTR_GENERATED', 'CONSTR_EXCLUSION']);

function hasPlanned(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasPlanned);
  return isTree(value) && (PLANNED.has(value['contype']) || Object.values(value).some(hasPlanned));
}

function hasExpression(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasExpression);
  return isTree(value) && ('expr' in value || Object.values(value).some(hasExpression));
}

/**
 * The table that CREATE TABLE IF NOT EXISTS may find in its place. In a tenant's schema Citus then makes a tenant's table of
 * that one, and copies its rows (Citus: commands/table.c, ConvertNewTableIfNecessary()).
 */
export function findsTable(node: Node): TouchedName | undefined {
  if (!('CreateStmt' in node) || node.CreateStmt.if_not_exists !== true) return undefined;
  const { relname: name, schemaname: schema } = node.CreateStmt.relation ?? {};
  return name === undefined ? undefined : { schema, name };
}

export function worksOnAllTables(node: Node): boolean {
  if ('VacuumStmt' in node) return (node.VacuumStmt.rels ?? []).length === 0;
  if ('ReindexStmt' in node) return node.ReindexStmt.relation === undefined;
  return 'ClusterStmt' in node && node.ClusterStmt.relation === undefined;
}
