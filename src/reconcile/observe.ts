import type { LedgerRowsAsked } from '../initSql/ledgerTable.ts';
import { type CarriedCode, carriedCodeScript, readCarriedCode } from '../objects/carriedCode.ts';
import type { AvailableExtension, MissingExtension } from '../objects/extension.ts';
import {
  existingShardsScript,
  type PlacedShard,
  placedShardsScript,
  readExistingShards,
  readPlacedShards,
} from '../objects/placedShard.ts';
import type { MistakenNames } from '../objects/scriptNames.ts';
import { readUnplacedShards, type UnplacedShard, unplacedShardsScript } from '../objects/unplacedShard.ts';
import { readVerification, type VerificationReport } from '../objects/verification.ts';
import { retryTransient } from '../postgres/retry.ts';
import { codeOf, describe } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { Failure, Interrupted } from '../report/errors.ts';
import type { DatabaseSpec, ExporterSpec, NodeSpec } from '../spec/types.ts';
import {
  availabilityScript,
  databaseScript,
  mistakenNamesScript,
  parametersScript,
  readAvailability,
  readDatabaseObservation,
  readMistakenNames,
  readParameters,
  readRoles,
  readServerObservation,
  readShardDetails,
  rolesScript,
  serverScript,
  shardDetailsScript,
} from './observationScripts.ts';
import type {
  DatabaseObservation,
  ParametersObservation,
  RolesObservation,
  ServerObservation,
  ShardDetails,
} from './observations.ts';
import { KINDS } from './order.ts';
import type { Run } from './run.ts';

/** What the server of a node says of itself and of one database. One round trip. */
export async function observeServerOf(
  run: Run,
  node: NodeSpec,
  database: DatabaseSpec,
  roles: readonly string[],
  exporter?: ExporterSpec,
): Promise<ServerObservation> {
  return readServerObservation(
    await observed(run, node, 'server', serverScript(database, roles, KINDS, node.group === 0, exporter)),
  );
}

/** What the database on a node holds. One round trip. */
export async function observeDatabaseOf(
  run: Run,
  node: NodeSpec,
  database: DatabaseSpec,
  /** Once it is decided what initSQL has to do, nobody needs them. */
  ledgerRows: LedgerRowsAsked = 'none',
): Promise<DatabaseObservation> {
  return readDatabaseObservation(
    await observed(run, node, 'database', databaseScript(database, node.group === 0, KINDS, ledgerRows)),
  );
}

export async function observeAvailabilityOf(
  run: Run,
  node: NodeSpec,
  wanted: readonly MissingExtension[],
): Promise<readonly AvailableExtension[]> {
  const script = availabilityScript(wanted);
  return readAvailability(await askedOnce(run, node, script, () => observed(run, node, 'server', script)));
}

/** In the database: what the scripts of extensions that are due may find there. */
export async function observeMistakenNamesOf(
  run: Run,
  node: NodeSpec,
  wanted: readonly MissingExtension[],
): Promise<readonly MistakenNames[]> {
  return readMistakenNames(await observed(run, node, 'database', mistakenNamesScript(wanted)));
}

/** What a server's files offer is the same for all of its databases. A failure is not kept: the next one asks again. */
async function askedOnce(run: Run, node: NodeSpec, script: string, ask: () => Promise<string>): Promise<string> {
  const { shared } = run;
  if (shared === undefined) return await ask();
  const key = `${node.group} ${script}`;
  let answer = shared.get(key);
  if (answer === undefined) {
    answer = ask();
    shared.set(key, answer);
    answer.catch(() => shared.delete(key));
  }
  return await answer;
}

export async function observeParametersOf(
  run: Run,
  node: NodeSpec,
  database: DatabaseSpec,
): Promise<ParametersObservation> {
  return readParameters(await observed(run, node, 'server', parametersScript(database)));
}

export async function observeRolesOf(run: Run, node: NodeSpec, names: readonly string[]): Promise<RolesObservation> {
  return readRoles(await observed(run, node, 'server', rolesScript(names)));
}

export async function observeVerificationOf(run: Run, node: NodeSpec, script: string): Promise<VerificationReport> {
  return readVerification(await observed(run, node, 'database', script));
}

export async function observePlacedShardsOf(
  run: Run,
  node: NodeSpec,
  groups: readonly number[],
): Promise<readonly PlacedShard[]> {
  return readPlacedShards(await observed(run, node, 'database', placedShardsScript(groups)));
}

export async function observeUnplacedShardsOf(run: Run, node: NodeSpec): Promise<readonly UnplacedShard[]> {
  return readUnplacedShards(await observed(run, node, 'database', unplacedShardsScript()));
}

export async function observeExistingShardsOf(
  run: Run,
  node: NodeSpec,
  shards: readonly Pick<PlacedShard, 'name' | 'kind'>[],
): Promise<ReadonlySet<string>> {
  return readExistingShards(await observed(run, node, 'database', existingShardsScript(shards)));
}

export async function observeCarriedCodeOf(run: Run, node: NodeSpec): Promise<readonly CarriedCode[]> {
  return readCarriedCode(await observed(run, node, 'database', carriedCodeScript()));
}

export async function observeShardDetailsOf(run: Run, node: NodeSpec): Promise<ShardDetails> {
  return readShardDetails(await observed(run, node, 'database', shardDetailsScript()));
}

/** One script of fragments; what it says of the node, as JSON. */
export async function observed(
  run: Run,
  node: NodeSpec,
  scope: 'server' | 'database',
  script: string,
): Promise<string> {
  const deadline = run.deadline();
  try {
    return await retryTransient(
      async () => {
        const session = await run.session({ node, scope });
        return await run.interruptible(async () => {
          const result = await session.script(script, { joinable: true, ...run.lockLimits(deadline) });
          const row = result.at(-1)?.rows[0] as { readonly observed: string } | undefined;
          if (row === undefined) throw new Error('the observation returned no row');
          return row.observed;
        });
      },
      { deadline, signal: run.signal, alsoTransient: [SQLSTATE.lockNotAvailable] },
    );
  } catch (error) {
    if (error instanceof Failure || error instanceof Interrupted) throw error;
    if (codeOf(error) === SQLSTATE.insufficientPrivilege && !run.withoutSuperuser)
      throw noSuperuser(run.label(node), error);
    throw new Failure(
      {
        kind: 'failed',
        what: 'Failed to read the catalogs',
        node: run.label(node),
        database: scope === 'database' ? run.database : undefined,
        cause: describe(error),
        next: 'Remove the cause and run again: nothing was changed by looking',
      },
      { cause: error },
    );
  }
}

/** What is looked at (pg_authid, settings of the server) is for superusers only. */
function noSuperuser(node: string, error: unknown): Failure {
  return new Failure(
    {
      kind: 'invalid',
      what: 'The role of cluster.user is no superuser, which extensions, pg_dist_authinfo and node registration need',
      node,
      cause: describe(error),
      next: 'Name a superuser in cluster.user. Where there is none (managed services): cluster.withoutSuperuser: true',
    },
    { cause: error },
  );
}
