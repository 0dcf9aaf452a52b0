import type { GrantStmt, Node } from 'libpg-query';
import type { Opening, SqlPart, Unit } from './types.ts';

/**
 * Statements after which somebody else may place code where a later statement meets it: what initSQL itself gives away.
 * The text tells only that they may; who has what, the catalogs say afterwards (othersCode.ts).
 */

export function openingOf(node: Node): Opening | undefined {
  if ('DoStmt' in node || 'CallStmt' in node) return 'database';
  if ('AlterOwnerStmt' in node) return node.AlterOwnerStmt.objectType === 'OBJECT_DATABASE' ? 'database' : 'objects';
  if ('AlterDatabaseStmt' in node) return 'database';
  if ('GrantStmt' in node) return givesPlaces(node.GrantStmt) ? 'objects' : undefined;
  if ('AlterDefaultPrivilegesStmt' in node) {
    const { action } = node.AlterDefaultPrivilegesStmt;
    return action !== undefined && givesPlaces(action) ? 'objects' : undefined;
  }
  if ('CreateSchemaStmt' in node) {
    const { authrole, schemaElts = [] } = node.CreateSchemaStmt;
    return authrole !== undefined || schemaElts.some((element) => openingOf(element) !== undefined)
      ? 'objects'
      : undefined;
  }
  if ('AlterTableStmt' in node) {
    const { cmds = [] } = node.AlterTableStmt;
    const changesOwner = cmds.some((command) => 'AlterTableCmd' in command && isOwnerChange(command.AlterTableCmd));
    return changesOwner ? 'objects' : undefined;
  }
  return OPENING.some((kind) => kind in node) ? 'objects' : undefined;
}

/** ALTER ROLE may make somebody no superuser who owns things; what the script of an extension does is not read. */
const OPENING = [
  'AlterExtensionStmt',
  'AlterRoleStmt',
  'CreateExtensionStmt',
  'GrantRoleStmt',
  'ReassignOwnedStmt',
] as const;

function isOwnerChange({ subtype }: { readonly subtype?: string }): boolean {
  return subtype === 'AT_ChangeOwner';
}

/** TRIGGER: its function may be in pg_temp, where everybody may create one. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  OBJECT_DATABASE: ['create'],
  OBJECT_SCHEMA: ['create'],
  OBJECT_TABLE: ['trigger', 'references'],
};

function givesPlaces({ is_grant: isGrant, objtype, privileges = [] }: GrantStmt): boolean {
  const places = PLACES[objtype ?? ''];
  if (isGrant !== true || places === undefined) return false;
  // ALL has no list; ALL of some columns has no name.
  if (privileges.length === 0) return true;
  return privileges.some((privilege) => {
    const name = 'AccessPriv' in privilege ? privilege.AccessPriv.priv_name : undefined;
    return name === undefined || places.includes(name);
  });
}

/**
 * What each unit may open, in their order. `replay`: what the session has executed before them. A script that takes another
 * role (SET ROLE) opens nothing by this count: Citus connects to the workers as that role, so that the database cannot stay
 * closed, and all that the role makes would be somebody else's to the statements behind it.
 */
export function openingsOf(units: readonly Unit[], replay: readonly SqlPart[] = []): readonly (Opening | undefined)[] {
  const takes = (unit: Unit) => (unit.kind === 'block' ? unit.statements.some(takesRole) : takesRole(unit));
  if (replay.some(takesRole) || units.some(takes)) return units.map(() => undefined);
  return units.map((unit) => (unit.kind === 'session' ? undefined : unit.opens));
}

/** Kinds of statements that can change the role of the session, and are not long lists of rows. */
const SETS = /^(?:set|do|call|select|with)\b/i;
const ROLE =
  /\bset\s+(?:(?:local|session)\s+)?(?:role|session\s+authorization)\b|\bset_config\b[\s\S]*\b(?:role|session_authorization)\b/i;

function takesRole({ sql }: SqlPart): boolean {
  return SETS.test(sql) && ROLE.test(sql);
}

/** Whether anything that is left to do may let others in. */
export function letsOthersIn(decision: {
  readonly kind: string;
  readonly units?: readonly Unit[];
  readonly replay?: readonly SqlPart[];
  readonly pending?: readonly Unit[];
}): boolean {
  if (decision.kind === 'record') return false;
  const { units = [], replay = [], pending = [] } = decision;
  return openingsOf([...units, ...pending], replay).some((opening) => opening !== undefined);
}
