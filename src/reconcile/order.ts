import { databaseComment } from '../objects/comment.ts';
import { uncheckedFunctions } from '../objects/uncheckedFunctions.ts';
import { isPlain, type Situation, server } from './situation.ts';
import { kindsOf, type Step } from './work.ts';
import { authentication, authinfo } from './works/authentication.ts';
import { tableOwnerRights } from './works/databaseAccess.ts';
import {
  coordinatorDatabase,
  intent,
  opened,
  openedFirst,
  opening,
  openingFirst,
  superuserSettings,
  workerDatabase,
} from './works/databases.ts';
import type { DatabaseWork } from './works/databaseWork.ts';
import { everywhere } from './works/everywhere.ts';
import { exporter } from './works/exporter.ts';
import { citusUpgrade, coordinatorCitus, coordinatorExtensions, workerExtensions } from './works/extensions.ts';
import { initSql } from './works/initSql.ts';
import { closingJoining, lookingBeforeCopies, openingJoined } from './works/joining.ts';
import { ownersElsewhere } from './works/owners.ts';
import { parameterNotices, parameters } from './works/parameters.ts';
import { managedRoles, registration, shouldHaveShards } from './works/registration.ts';
import { schemas, workerSchemas } from './works/schemas.ts';
import { damage, rebalance, referenceCopies, shardRights } from './works/shards.ts';
import { privileges, rights, users } from './works/users.ts';

/**
 * The order of work on one database, the only place where it stands; what each piece does is in works/. Workers come first,
 * so that citus_add_node() finds the database and its extensions there.
 */

const comment = everywhere('comment', databaseComment);
const functionRights: DatabaseWork = {
  ...everywhere('rights on functions of Citus', uncheckedFunctions),
  summaries: false,
};

/** A coordinator without the database has nothing to do with the workers yet; in turn would take nearly twice as long. */
function isNew(situation: Situation): boolean {
  return server(situation, situation.topology.coordinator).database === null;
}

const nameOf = ({ database }: Situation) => database.name;

export const CLUSTER_ORDER: readonly Step<Situation>[] = [
  {
    heading: {
      number: 1,
      title: (of) => `Creating database '${nameOf(of)}' on worker nodes first...`,
      planned: (of) => `Create database '${nameOf(of)}' on worker nodes first`,
    },
    works: [intent, users, exporter, workerDatabase, workerExtensions, ownersElsewhere],
  },
  {
    heading: {
      number: 2,
      title: (of) => `Creating database '${nameOf(of)}' on coordinator...`,
      planned: (of) => `Create database '${nameOf(of)}' on the coordinator`,
    },
    alongside: isNew,
    works: [coordinatorDatabase],
  },
  {
    heading: {
      number: 3,
      title: () => 'Enabling Citus extension on coordinator...',
      planned: () => 'Enable the Citus extension on the coordinator',
    },
    alongside: isNew,
    works: [coordinatorCitus],
  },
  {
    heading: {
      number: 4,
      title: () => 'Enabling additional extensions on coordinator...',
      planned: () => 'Enable additional extensions on the coordinator',
    },
    alongside: isNew,
    works: [coordinatorExtensions],
  },
  {
    heading: {
      number: 5,
      title: () => 'Configuring SSL certificate authentication (pg_dist_authinfo)...',
      planned: () => 'Configure authentication between nodes (pg_dist_authinfo)',
    },
    works: [authentication, authinfo],
  },
  {
    heading: {
      number: 6,
      title: () => 'Adding worker nodes to Citus metadata...',
      planned: () => 'Add worker nodes to Citus metadata',
    },
    works: [
      citusUpgrade,
      closingJoining,
      managedRoles,
      registration,
      openingJoined,
      shouldHaveShards,
      lookingBeforeCopies,
      referenceCopies,
      damage,
      privileges,
      schemas,
      workerSchemas,
    ],
  },
  {
    heading: {
      number: 7,
      title: () => 'Running custom initialization SQL...',
      planned: () => 'Run custom initialization SQL',
    },
    works: [
      openingFirst,
      openedFirst,
      initSql,
      superuserSettings,
      functionRights,
      opening,
      opened,
      rights,
      shardRights,
      tableOwnerRights,
    ],
  },
  {
    heading: { number: 8, title: () => 'Setting database parameters...', planned: () => 'Set database parameters' },
    works: [parameterNotices, parameters, comment, rebalance],
  },
];

/** Where there is one server, its name says nothing. */
function unnamed(work: DatabaseWork): DatabaseWork {
  return { ...work, summaries: 'withoutNodes' };
}

/** One server without workers. */
const PLAIN_ORDER: readonly Step<Situation>[] = [
  {
    heading: { number: 1, title: () => 'Creating roles...', planned: () => 'Create roles' },
    works: [intent, unnamed(users), unnamed(exporter)],
  },
  {
    heading: {
      number: 2,
      title: (of) => `Creating database '${nameOf(of)}'...`,
      planned: (of) => `Create database '${nameOf(of)}'`,
    },
    alongside: () => false,
    works: [coordinatorDatabase],
  },
  {
    heading: { number: 3, title: () => 'Enabling extensions...', planned: () => 'Enable extensions' },
    alongside: () => false,
    works: [coordinatorExtensions],
  },
  {
    heading: {
      number: 4,
      title: () => 'Creating schemas and setting default privileges...',
      planned: () => 'Create schemas and set default privileges',
    },
    works: [unnamed(privileges), schemas],
  },
  {
    heading: {
      number: 5,
      title: () => 'Running custom initialization SQL...',
      planned: () => 'Run custom initialization SQL',
    },
    works: [unnamed(openingFirst), openedFirst, initSql, unnamed(opening), opened, unnamed(rights)],
  },
  {
    heading: { number: 6, title: () => 'Setting database parameters...', planned: () => 'Set database parameters' },
    works: [parameterNotices, parameters, comment],
  },
];

/** What every run observes beside what observationScripts.ts lists. */
export const KINDS = kindsOf([...CLUSTER_ORDER, ...PLAIN_ORDER]);

export function orderOf(situation: Situation): readonly Step<Situation>[] {
  return isPlain(situation) ? PLAIN_ORDER : CLUSTER_ORDER;
}
