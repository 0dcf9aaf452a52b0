import type { Node, RangeVar, SelectStmt, TransactionStmt, VariableSetStmt } from 'libpg-query';
import { constantText, onlyCall } from './lookup.ts';

/** What a statement means for the order and the bookkeeping of the script. */
export type StatementClass =
  | { readonly kind: 'plain'; readonly expectation: 'transaction' | 'alone' }
  /** Lasts as long as the session. */
  | { readonly kind: 'session' }
  | { readonly kind: 'begin' }
  | { readonly kind: 'commit' }
  /** Wrong wherever it stands. */
  | { readonly kind: 'refused'; readonly why: string }
  /** Wrong too, and the end of a block. */
  | { readonly kind: 'rollback'; readonly why: string }
  /** Right only within BEGIN … COMMIT. */
  | { readonly kind: 'blockOnly'; readonly why: string };

const PLAIN: StatementClass = { kind: 'plain', expectation: 'transaction' };
const ALONE: StatementClass = { kind: 'plain', expectation: 'alone' };
const SESSION: StatementClass = { kind: 'session' };
const CURSOR_OPT_HOLD = 0x20;
export const TEMPORARY =
  'a temporary object would be missing when a later run resumes: put it between BEGIN and COMMIT with the statements that use it, or make an ordinary table and drop it at the end';

export function classify(node: Node): StatementClass {
  if ('TransactionStmt' in node) return classifyTransaction(node.TransactionStmt);
  if ('VariableSetStmt' in node) return classifySet(node.VariableSetStmt);
  if ('CopyStmt' in node) return classifyCopy(node.CopyStmt.is_from === true, node.CopyStmt.filename);
  if ('ConstraintsSetStmt' in node) return blockOnly('SET CONSTRAINTS has no effect outside BEGIN … COMMIT');
  if ('LockStmt' in node) return blockOnly('LOCK TABLE has no effect outside BEGIN … COMMIT');
  if ('DeclareCursorStmt' in node) return classifyCursor(node.DeclareCursorStmt.options ?? 0);
  if (SESSION_STATEMENTS.some((kind) => kind in node)) return SESSION;
  if (createsTemporary(node)) return blockOnly(TEMPORARY);
  if ('SelectStmt' in node) return classifySelect(node.SelectStmt);
  return runsAlone(node) ? ALONE : PLAIN;
}

const SESSION_STATEMENTS = [
  'PrepareStmt',
  'DeallocateStmt',
  'ListenStmt',
  'UnlistenStmt',
  'LoadStmt',
  'DiscardStmt',
] as const;

function blockOnly(why: string): StatementClass {
  return { kind: 'blockOnly', why };
}

function refused(why: string): StatementClass {
  return { kind: 'refused', why };
}

function classifyTransaction(statement: TransactionStmt): StatementClass {
  const { kind, chain, options = [] } = statement;
  if (chain === true) return refused('AND CHAIN is not supported: write COMMIT and BEGIN');
  switch (kind) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      return options.some(isReadOnly) ? refused('a read-only transaction changes nothing') : { kind: 'begin' };
    case 'TRANS_STMT_COMMIT':
      return { kind: 'commit' };
    case 'TRANS_STMT_ROLLBACK':
      return { kind: 'rollback', why: 'ROLLBACK undoes what stands before it: leave both out' };
    case 'TRANS_STMT_SAVEPOINT':
    case 'TRANS_STMT_RELEASE':
    case 'TRANS_STMT_ROLLBACK_TO':
      return blockOnly('savepoints are possible only between BEGIN and COMMIT');
    default:
      return kind === 'TRANS_STMT_PREPARE' ? { kind: 'rollback', why: TWO_PHASE } : refused(TWO_PHASE);
  }
}

const TWO_PHASE = 'two-phase commit (PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED) is not supported';

function isReadOnly(option: Node): boolean {
  if (!('DefElem' in option) || option.DefElem.defname !== 'transaction_read_only') return false;
  const value = option.DefElem.arg;
  return value !== undefined && 'A_Const' in value && value.A_Const.ival?.ival === 1;
}

function classifySet(statement: VariableSetStmt): StatementClass {
  const { kind, name = '', is_local: local = false, args = [] } = statement;
  if (name === 'TRANSACTION' || name === 'TRANSACTION SNAPSHOT') {
    if (args.some(isReadOnly)) return refused('a read-only transaction changes nothing');
    return blockOnly(`SET ${name} has no effect outside BEGIN … COMMIT`);
  }
  if (name === 'SESSION CHARACTERISTICS' && args.some(isReadOnly)) return refused(READ_ONLY);
  const settings = kind === 'VAR_SET_VALUE' ? args.map(constantText) : [];
  const problem = harmfulSetting(name, settings[0]);
  if (problem !== undefined) return refused(problem);
  if (local) return blockOnly('SET LOCAL has no effect outside BEGIN … COMMIT: write SET, or put both into a block');
  if (name === 'session_authorization' && kind === 'VAR_SET_VALUE') return refused(SESSION_AUTHORIZATION);
  return SESSION;
}

const SESSION_AUTHORIZATION =
  'SET SESSION AUTHORIZATION would last beyond the statement, and the ledger could no longer be written: use SET ROLE, or SET LOCAL SESSION AUTHORIZATION between BEGIN and COMMIT';

const READ_ONLY = 'in a read-only session the ledger could not be written';

/** Settings that would make the server read the script otherwise than this program does, or keep it from its ledger. */
function harmfulSetting(name: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const lower = value.toLowerCase();
  if (name === 'standard_conforming_strings' && !['on', 'true', 'yes', '1'].includes(lower)) {
    return "standard_conforming_strings must stay on: write E'…' where backslashes escape";
  }
  if (name === 'client_encoding' && !['utf8', 'utf-8', 'unicode', ''].includes(lower)) {
    return 'client_encoding must stay UTF8, the encoding of this script';
  }
  if (/^(?:default_)?transaction_read_only$/.test(name) && ['on', 'true', 'yes', '1'].includes(lower)) return READ_ONLY;
  return undefined;
}

function classifyCopy(isFrom: boolean, filename: string | undefined): StatementClass {
  if (filename !== undefined) return PLAIN;
  return refused(
    isFrom
      ? 'COPY … FROM STDIN and its data are not supported: write INSERT … VALUES'
      : 'COPY … TO STDOUT has nobody to read it',
  );
}

function classifyCursor(options: number): StatementClass {
  if ((options & CURSOR_OPT_HOLD) !== 0) return refused('a cursor WITH HOLD would be missing when a later run resumes');
  return blockOnly('a cursor lives only between BEGIN and COMMIT');
}

function classifySelect(select: SelectStmt): StatementClass {
  const settings = setConfigCalls(select);
  if (settings === undefined) {
    return onlyCall(select)?.name === 'create_distributed_table_concurrently' ? ALONE : PLAIN;
  }
  for (const setting of settings) {
    const problem = harmfulSetting(setting.name ?? '', setting.value);
    if (problem !== undefined) return refused(problem);
    if (setting.name === 'session_authorization' && !setting.local) return refused(SESSION_AUTHORIZATION);
  }
  return settings.every((setting) => setting.local)
    ? blockOnly('set_config(…, true) has no effect outside BEGIN … COMMIT: pass false, or put it into a block')
    : SESSION;
}

interface SetConfig {
  readonly name: string | undefined;
  readonly value: string | undefined;
  readonly local: boolean;
}

/** `SELECT set_config(…), …` of constants and nothing else, as pg_dump writes; else undefined. */
function setConfigCalls(select: SelectStmt): SetConfig[] | undefined {
  const { targetList = [], op, limitOption, ...rest } = select;
  if (targetList.length === 0 || op !== 'SETOP_NONE' || limitOption !== 'LIMIT_OPTION_DEFAULT') return undefined;
  if (Object.keys(rest).length > 0) return undefined;
  const calls = targetList.map(setConfigCall);
  return calls.every((call) => call !== undefined) ? calls : undefined;
}

function setConfigCall(target: Node): SetConfig | undefined {
  const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
  if (value === undefined || !('FuncCall' in value)) return undefined;
  const names = (value.FuncCall.funcname ?? []).map((name) => ('String' in name ? name.String.sval : undefined));
  if (names.at(-1) !== 'set_config' || (names.length > 1 && names[0] !== 'pg_catalog')) return undefined;
  const [name, setting, local] = value.FuncCall.args ?? [];
  if (local === undefined || !('A_Const' in local) || local.A_Const.boolval === undefined) return undefined;
  return {
    name: constantText(name)?.toLowerCase(),
    value: constantText(setting),
    local: local.A_Const.boolval.boolval === true,
  };
}

function createsTemporary(node: Node): boolean {
  if ('CreateStmt' in node) return isTemporary(node.CreateStmt.relation);
  if ('CreateTableAsStmt' in node) return isTemporary(node.CreateTableAsStmt.into?.rel);
  if ('ViewStmt' in node) return isTemporary(node.ViewStmt.view);
  if ('CreateSeqStmt' in node) return isTemporary(node.CreateSeqStmt.sequence);
  if ('SelectStmt' in node) return isTemporary(node.SelectStmt.intoClause?.rel);
  if ('CompositeTypeStmt' in node) return isTemporary(node.CompositeTypeStmt.typevar);
  const names =
    'CreateFunctionStmt' in node
      ? node.CreateFunctionStmt.funcname
      : 'CreateEnumStmt' in node
        ? node.CreateEnumStmt.typeName
        : 'CreateDomainStmt' in node
          ? node.CreateDomainStmt.domainname
          : undefined;
  const [schema] = names ?? [];
  return schema !== undefined && 'String' in schema && schema.String.sval === 'pg_temp';
}

function isTemporary(relation: RangeVar | undefined): boolean {
  return relation !== undefined && (relation.relpersistence === 't' || relation.schemaname === 'pg_temp');
}

/** PreventInTransactionBlock() in PostgreSQL 18: what can be told without asking the server. */
function runsAlone(node: Node): boolean {
  if ('IndexStmt' in node) return node.IndexStmt.concurrent === true;
  if ('DropStmt' in node) return node.DropStmt.concurrent === true;
  if ('VacuumStmt' in node) return node.VacuumStmt.is_vacuumcmd === true;
  if ('ClusterStmt' in node) return node.ClusterStmt.relation === undefined;
  if ('AlterDatabaseStmt' in node) return hasOption(node.AlterDatabaseStmt.options, 'tablespace');
  if ('ReindexStmt' in node) {
    const { kind, params } = node.ReindexStmt;
    return (kind !== 'REINDEX_OBJECT_INDEX' && kind !== 'REINDEX_OBJECT_TABLE') || hasOption(params, 'concurrently');
  }
  if ('AlterTableStmt' in node) return (node.AlterTableStmt.cmds ?? []).some(detachesConcurrently);
  return ['AlterSystemStmt', 'CreatedbStmt', 'DropdbStmt', 'CreateTableSpaceStmt', 'DropTableSpaceStmt'].some(
    (kind) => kind in node,
  );
}

function hasOption(options: readonly Node[] | undefined, name: string): boolean {
  return (options ?? []).some((option) => 'DefElem' in option && option.DefElem.defname === name);
}

function detachesConcurrently(node: Node): boolean {
  if (!('AlterTableCmd' in node)) return false;
  const { def } = node.AlterTableCmd;
  return def !== undefined && 'PartitionCmd' in def && def.PartitionCmd.concurrent === true;
}
