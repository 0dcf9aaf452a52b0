import type { Node, RangeVar, SelectStmt } from 'libpg-query';
import { quoteIdentifier } from '../postgres/quote.ts';
import type { Lookup } from './types.ts';

/**
 * How to learn, after a crash, whether a statement that ran outside a transaction took effect. Every name is resolved
 * by the server through search_path, as the statement's own names were: replay the session statements first.
 */
export function lookupOf(node: Node): Lookup {
  if ('IndexStmt' in node) {
    const { idxname, relation, concurrent } = node.IndexStmt;
    if (concurrent !== true || idxname === undefined || relation === undefined) return NONE;
    return query(INDEX_CREATED, [idxname, relationName(relation)], invalidIndex(idxname));
  }
  if ('DropStmt' in node && node.DropStmt.removeType === 'OBJECT_INDEX' && node.DropStmt.concurrent === true) {
    const names = (node.DropStmt.objects ?? []).flatMap(listedName);
    const [name] = names;
    return name === undefined || names.length > 1 ? NONE : query(RELATION_GONE, [name]);
  }
  if ('AlterTableStmt' in node) return detachLookup(node);
  if ('CreatedbStmt' in node) return byName(DATABASE_CREATED, node.CreatedbStmt.dbname);
  if ('DropdbStmt' in node) return byName(DATABASE_GONE, node.DropdbStmt.dbname);
  if ('CreateTableSpaceStmt' in node) return byName(TABLESPACE_CREATED, node.CreateTableSpaceStmt.tablespacename);
  if ('DropTableSpaceStmt' in node) return byName(TABLESPACE_GONE, node.DropTableSpaceStmt.tablespacename);
  if ('CreateSubscriptionStmt' in node) return byName(SUBSCRIPTION_CREATED, node.CreateSubscriptionStmt.subname);
  if ('DropSubscriptionStmt' in node) return byName(SUBSCRIPTION_GONE, node.DropSubscriptionStmt.subname);
  if ('SelectStmt' in node) return distributedLookup(node.SelectStmt);
  return HARMLESS_AGAIN.some((kind) => kind in node) ? { kind: 'runAgain' } : NONE;
}

const NONE: Lookup = { kind: 'none' };

const HARMLESS_AGAIN = [
  'VacuumStmt',
  'ReindexStmt',
  'ClusterStmt',
  'CheckPointStmt',
  'AlterSystemStmt',
  'AlterDatabaseStmt',
] as const;

// Citus leaves the coordinator's index invalid until all shards have theirs (citus, commands/index.c), as
// PostgreSQL does until it is built (CREATE INDEX, "Building Indexes Concurrently").
const INDEX_CREATED = `SELECT CASE WHEN i.indexrelid IS NULL THEN 'notDone' WHEN i.indisvalid THEN 'done' ELSE 'unclear' END AS outcome
FROM (VALUES (1)) AS one (row)
LEFT JOIN (pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid)
  ON c.relname OPERATOR(pg_catalog.=) $1::pg_catalog.name AND i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($2)`;

const RELATION_GONE = `SELECT CASE WHEN pg_catalog.to_regclass($1) IS NULL THEN 'done' ELSE 'notDone' END AS outcome`;

const DETACHED = `SELECT CASE WHEN h.inhrelid IS NULL THEN 'done' WHEN h.inhdetachpending THEN 'unclear' ELSE 'notDone' END AS outcome
FROM (VALUES (1)) AS one (row)
LEFT JOIN pg_catalog.pg_inherits h
  ON h.inhparent OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1) AND h.inhrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($2)`;

// Citus adds the table to its metadata first (partmethod 'n') and splits it into shards after.
const DISTRIBUTED = `SELECT CASE WHEN p.logicalrelid IS NULL THEN 'notDone' WHEN p.partmethod OPERATOR(pg_catalog.=) 'h' THEN 'done' ELSE 'unclear' END AS outcome
FROM (VALUES (1)) AS one (row)
LEFT JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)`;

const DATABASE = 'pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) $1::pg_catalog.name';
const TABLESPACE = 'pg_catalog.pg_tablespace WHERE spcname OPERATOR(pg_catalog.=) $1::pg_catalog.name';
const SUBSCRIPTION = `pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.subdbid
  WHERE s.subname OPERATOR(pg_catalog.=) $1::pg_catalog.name AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()`;

const DATABASE_CREATED = present(DATABASE);
const DATABASE_GONE = absent(DATABASE);
const TABLESPACE_CREATED = present(TABLESPACE);
const TABLESPACE_GONE = absent(TABLESPACE);
const SUBSCRIPTION_CREATED = present(SUBSCRIPTION);
const SUBSCRIPTION_GONE = absent(SUBSCRIPTION);

function present(source: string): string {
  return `SELECT CASE WHEN EXISTS (SELECT FROM ${source}) THEN 'done' ELSE 'notDone' END AS outcome`;
}

function absent(source: string): string {
  return `SELECT CASE WHEN EXISTS (SELECT FROM ${source}) THEN 'notDone' ELSE 'done' END AS outcome`;
}

function query(text: string, values: readonly string[], whenUnclear = ''): Lookup {
  return { kind: 'query', text, values, whenUnclear };
}

function byName(text: string, name: string | undefined): Lookup {
  return name === undefined ? NONE : query(text, [name]);
}

function invalidIndex(name: string): string {
  const index = quoteIdentifier(name);
  return `Index ${index} exists but is invalid: drop it (DROP INDEX CONCURRENTLY ${index}).`;
}

function detachLookup(node: Extract<Node, { AlterTableStmt: unknown }>): Lookup {
  const { relation, cmds = [] } = node.AlterTableStmt;
  const [only] = cmds;
  if (relation === undefined || only === undefined || cmds.length > 1 || !('AlterTableCmd' in only)) return NONE;
  const { def } = only.AlterTableCmd;
  if (only.AlterTableCmd.subtype !== 'AT_DetachPartition' || def === undefined || !('PartitionCmd' in def)) return NONE;
  const { name, concurrent } = def.PartitionCmd;
  if (concurrent !== true || name === undefined) return NONE;
  const [parent, partition] = [relationName(relation), relationName(name)];
  const finalize = `ALTER TABLE ${parent} DETACH PARTITION ${partition} FINALIZE`;
  return query(DETACHED, [parent, partition], `The partition is half detached: complete it with ${finalize}.`);
}

function distributedLookup(select: SelectStmt): Lookup {
  const call = onlyCall(select);
  if (call?.name !== 'create_distributed_table_concurrently' || call.firstText === undefined) return NONE;
  return query(
    DISTRIBUTED,
    [call.firstText],
    `Table ${call.firstText} is known to Citus but not distributed: look at it, then undo (undistribute_table) or complete it by hand.`,
  );
}

/** `SELECT f('text', …)` and nothing else. */
export function onlyCall(
  select: SelectStmt,
): { readonly name: string | undefined; readonly firstText: string | undefined } | undefined {
  const [target] = select.targetList ?? [];
  if (select.targetList?.length !== 1 || target === undefined || !('ResTarget' in target)) return undefined;
  const value = target.ResTarget.val;
  if (value === undefined || !('FuncCall' in value)) return undefined;
  const name = value.FuncCall.funcname?.at(-1);
  const [first] = value.FuncCall.args ?? [];
  return {
    name: name !== undefined && 'String' in name ? name.String.sval : undefined,
    firstText: constantText(first),
  };
}

/** 'text' or 'text'::type. */
export function constantText(node: Node | undefined): string | undefined {
  if (node === undefined) return undefined;
  if ('TypeCast' in node) return constantText(node.TypeCast.arg);
  return 'A_Const' in node ? node.A_Const.sval?.sval : undefined;
}

function relationName(relation: RangeVar): string {
  return [relation.schemaname, relation.relname]
    .filter((part) => part !== undefined)
    .map((part) => quoteIdentifier(part))
    .join('.');
}

function listedName(node: Node): string[] {
  if (!('List' in node)) return [];
  const parts = (node.List.items ?? []).flatMap((item) => ('String' in item ? [item.String.sval ?? ''] : []));
  return [parts.map((part) => quoteIdentifier(part)).join('.')];
}
