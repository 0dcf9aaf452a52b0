import { ledgerProblems } from '../../initSql/ledgerTable.ts';
import type { Change, Problem } from '../../objects/change.ts';
import { databaseProblems } from '../../objects/database.ts';
import { extensionProblems } from '../../objects/extensionProblems.ts';
import { grantMembership } from '../../objects/membership.ts';
import { parameterProblems } from '../../objects/parameter.ts';
import { groupProblems, userProblems } from '../../objects/user.ts';
import { userParameterProblems } from '../../objects/userParameter.ts';
import { quoteIdentifier } from '../../postgres/quote.ts';
import { sslDocument } from '../../spec/schema.ts';
import { inside, label, server } from '../situation.ts';
import { clusterProblems } from './clusterRights.ts';
import { extensionRights } from './extensionRights.ts';
import { otherMakers, ownedCommentItems, ownedDatabaseItems, ownedParameterItems } from './items.ts';
import { isSuperuserRole, lacking, nodesOf, withoutCreate } from './lacking.ts';
import { grantProblems, ledgerRights, parameterRights } from './objectRights.ts';
import { roleProblems, roleWarnings } from './roleRights.ts';
import { schemaProblems } from './schemaRights.ts';
import type { ExtensionFacts, OwnerSituation } from './situation.ts';

/**
 * What is declared, differs, and needs a right that the role does not have: all of it, before anything is made. Where
 * nothing differs, no right is needed. Pure.
 */
export function rightsProblems(situation: OwnerSituation, facts: ExtensionFacts): readonly Problem[] {
  if (situation.rights.superuser) return [isSuperuser(situation)];
  const { database, topology } = situation;
  const { coordinator } = topology;
  const name = label(situation, coordinator);
  const { database: observed, knownParameters, roles } = server(situation, coordinator);
  const { extensions, ledger } = inside(situation, coordinator);
  return [
    ...clusterProblems(situation),
    ...authinfoProblems(situation),
    ...databaseProblems(database, observed, name),
    ...situation.workers.flatMap(({ node, answer }) =>
      databaseProblems(database, answer?.database ?? null, label(situation, node)),
    ),
    ...ownershipProblems(situation),
    ...userProblems(database.users, roles, name),
    ...groupProblems(database, roles, name),
    ...roleProblems(situation),
    ...extensionProblems(database.extensions, extensions, name),
    ...extensionRights(situation, facts),
    ...schemaProblems(situation),
    ...proofProblems(situation),
    ...grantProblems(situation),
    ...parameterProblems(database, knownParameters),
    ...userParameterProblems(database, knownParameters, situation.declared.cluster.citus),
    ...parameterRights(situation),
    ...ledgerProblems(ledger, name),
    ...ledgerRights(situation),
  ];
}

/** What is left out, though the database works. */
export function rightsWarnings(situation: OwnerSituation): readonly string[] {
  const { database, rights, topology } = situation;
  const others = otherMakers(situation).filter((name) => !isSuperuserRole(situation, name));
  return [
    ...roleWarnings(situation),
    ...(others.length === 0
      ? []
      : [
          `Users get no rights on what ${others.map(quoteIdentifier).join(', ')} will create: '${rights.user}' may not say so for them. To let it, on every node: ${grantMembership(others, rights.user, server(situation, topology.coordinator).settings.version)}`,
        ]),
    ...(database.initSQLFrom.some(({ secret }) => secret)
      ? [
          "Without a superuser the strings of initSQL that come from a Secret are not kept out of the servers' logs where log_statement has them written",
        ]
      : []),
  ];
}

function isSuperuser({ rights, labels }: OwnerSituation): Problem {
  return {
    kind: 'invalid',
    what: `Role '${rights.user}' is a superuser, and cluster.withoutSuperuser says that it is none`,
    node: labels.get(0) ?? '',
    next: 'Take withoutSuperuser out of the spec, or name a role without superuser in cluster.user',
  };
}

/** The rows of pg_dist_authinfo name the certificate that nodes show each other. */
function authinfoProblems(situation: OwnerSituation): readonly Problem[] {
  const { ssl } = situation.declared;
  if (!ssl.enabled || ssl.nodeDirectory === sslDocument.parse({}).nodeDirectory) return [];
  return [
    {
      kind: 'refused',
      what: `ssl.nodeDirectory is declared, and only a superuser writes pg_dist_authinfo, where the nodes find the certificate`,
      node: label(situation, situation.topology.coordinator),
      next: 'Take ssl.nodeDirectory out: how its nodes log in to each other is for the service to decide',
    },
  ];
}

/** Every run proves the database with a table, in a schema of its own, that is rolled back. */
function proofProblems(situation: OwnerSituation): readonly Problem[] {
  const { declared, workers } = situation;
  return declared.cluster.citus && workers.length > 0 ? withoutCreate(situation, ['the table that proves it']) : [];
}

function ownershipProblems(situation: OwnerSituation): readonly Problem[] {
  const { database, rights, topology } = situation;
  const due = [...ownedDatabaseItems(situation), ...ownedCommentItems(situation), ...ofDatabase(situation)];
  const problems: Problem[] = [];
  for (const { node, rights: own, owner } of nodesOf(situation)) {
    if (owner !== undefined && owner !== database.owner) {
      problems.push({
        kind: 'refused',
        what: `Database '${database.name}' belongs to '${owner}', not to '${database.owner}', and to change that takes CREATEDB and both roles`,
        node,
        next: `Declare owner: ${owner}; or let an administrator run, on this node: ALTER DATABASE ${quoteIdentifier(database.name)} OWNER TO ${quoteIdentifier(database.owner)}`,
      });
    } else if (!own.ownsDatabase && due.length > 0) {
      problems.push(
        lacking(
          due,
          node,
          `'${rights.user}' has not the rights of the owner of database '${database.name}'`,
          // Nobody is to become superuser for a comment.
          isSuperuserRole(situation, database.owner)
            ? `ALTER DATABASE ${quoteIdentifier(database.name)} OWNER TO ${quoteIdentifier(rights.user)}`
            : grantMembership([database.owner], rights.user, server(situation, topology.coordinator).settings.version),
        ),
      );
    }
  }
  return problems;
}

/** Parameters of the database; those of users belong to the users. */
function ofDatabase(situation: OwnerSituation): readonly Change[] {
  return ownedParameterItems({ ...situation, database: { ...situation.database, users: [] } });
}
