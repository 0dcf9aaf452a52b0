import { randomBytes } from 'node:crypto';
import type { Joined } from '../cluster/join.ts';
import { allNodes, databaseNodes, topologyOf } from '../cluster/topology.ts';
import { waitForOneVersion } from '../cluster/versions.ts';
import { byGroup } from '../concurrency/parallel.ts';
import type { Context } from '../context.ts';
import { ledgerDigest, ledgerRows, refusal } from '../initSql/ledger.ts';
import type { LedgerRowsAsked } from '../initSql/ledgerTable.ts';
import { letsOthersIn } from '../initSql/opening.ts';
import { copyRefusal, decideExecuted, decideInitSql, type InitSqlDecision } from '../initSql/policy.ts';
import type { Problem } from '../objects/change.ts';
import { wantedExporter } from '../objects/exporter.ts';
import { harmfulSettingProblems, type ObservedHarmfulSetting } from '../objects/harmfulSetting.ts';
import { mistakenNamesProblems } from '../objects/scriptNames.ts';
import { rolesOf, wantedUser } from '../objects/user.ts';
import { SALT_BYTES } from '../postgres/scram.ts';
import { type Failure, Interrupted } from '../report/errors.ts';
import type { Redactor } from '../report/redact.ts';
import type { DatabaseSpec, ExporterSpec, NodeSpec } from '../spec/types.ts';
import { carryingStep } from './carrying.ts';
import { missingExtensions } from './missingExtensions.ts';
import type { DatabaseObservation, ServerObservation } from './observations.ts';
import {
  observeAvailabilityOf,
  observeCarriedCodeOf,
  observeDatabaseOf,
  observeMistakenNamesOf,
  observeServerOf,
} from './observe.ts';
import { observeManagedRoles, undeclaredMembers } from './observeMembers.ts';
import { observeShardFaults } from './observeShardFaults.ts';
import { placedExtensions } from './placedExtensions.ts';
import { type Preflight, preflight } from './preflight.ts';
import type { GivenScript } from './prepareScripts.ts';
import { problemsFailure } from './problemsFailure.ts';
import type { Run } from './run.ts';
import { mixedVersions } from './serverWarnings.ts';
import { inside, isOpen, label, origin, type Situation } from './situation.ts';

/** Passwords of users by role name. Commands that change nothing about users need none. */
export type Passwords = ReadonlyMap<string, string>;

/** What is declared outside the spec. */
export interface Given {
  readonly passwords: Passwords;
  /** initSQL. */
  readonly script: GivenScript | undefined;
}

const NOTHING: Given = { passwords: new Map(), script: undefined };

/** Looks at every node: at the server, then inside the database where it exists. Two round trips for each. */
export async function observeSituation(
  context: Context,
  joined: Joined,
  run: Run,
  database: DatabaseSpec,
  { passwords, script }: Given = NOTHING,
): Promise<Situation> {
  const topology = topologyOf(context.spec, joined.workers, database);
  const roles = rolesOf(database);
  const { exporter } = context.spec.cluster;
  const having = new Set(databaseNodes(topology));
  const contents = new Map<number, DatabaseObservation>();
  const ledgerRows = script === undefined ? 'none' : ({ unless: digestOf(script) } as const);
  // No node waits for another one between the two looks.
  const servers = await byGroup(allNodes(topology), async (node) => {
    const observed = await observeServerOf(run, node, database, roles, exporter);
    if (having.has(node) && observed.database?.allowConnections === true) {
      const harmful = context.spec.cluster.citus ? observed.harmfulSettings : undefined;
      contents.set(node.group, await observeInside(run, node, { database, ledgerRows, harmful }));
    }
    return observed;
  });
  return {
    spec: context.spec,
    database,
    topology,
    labels: joined.labels,
    servers,
    inside: contents,
    release: joined.release,
    shardFaults: await observeShardFaults(run, topology, contents),
    password: context.access.password,
    ...wantedRoles(database, exporter, servers, passwords, context.access.redactor),
    initSql: { kind: 'none' },
  };
}

/** Citus may fail under a setting that is refused anyway (extension_control_path): then that is what to say. */
async function observeInside(
  run: Run,
  node: NodeSpec,
  {
    database,
    ledgerRows,
    harmful = [],
  }: {
    readonly database: DatabaseSpec;
    readonly ledgerRows: LedgerRowsAsked;
    readonly harmful: readonly ObservedHarmfulSetting[] | undefined;
  },
): Promise<DatabaseObservation> {
  try {
    return await observeDatabaseOf(run, node, database, ledgerRows);
  } catch (error) {
    const named = { label: run.label(node), isWorker: node.group !== 0 };
    const problems = harmfulSettingProblems(database, harmful, named);
    if (error instanceof Interrupted || problems.length === 0) throw error;
    throw preflightFailure(database.name, problems);
  }
}

/** Looks again once the nodes have one version: in a rolling update some are old for a while. */
export async function observeAtOneVersion(
  context: Context,
  joined: Joined,
  run: Run,
  database: DatabaseSpec,
  given?: Given,
): Promise<Situation> {
  const situation = await observeSituation(context, joined, run, database, given);
  if (mixedVersions(situation).length === 0) return situation;
  await waitForOneVersion(context, joined, databaseNodes(situation.topology), database);
  return await observeSituation(context, joined, run, database, given);
}

/** The declared roles as every node has to have them; a verifier is made anew only if the password is another one. */
export function wantedRoles(
  database: DatabaseSpec,
  exporter: ExporterSpec | undefined,
  servers: ReadonlyMap<number, ServerObservation>,
  passwords: Passwords,
  redactor: Redactor,
): Pick<Situation, 'users' | 'exporter'> {
  const roles = servers.get(0)?.roles ?? [];
  const inputsOf = (name: string) =>
    [passwords.get(name), roles.find((role) => role.name === name), randomBytes(SALT_BYTES)] as const;
  const users = database.users.map((user) => wantedUser(user, database, ...inputsOf(user.name)));
  const monitor = exporter === undefined ? undefined : wantedExporter(exporter, database, ...inputsOf(exporter.name));
  for (const { role } of monitor === undefined ? users : [...users, monitor]) {
    if (role.verifier !== null) redactor.add(role.verifier);
  }
  return { users, exporter: monitor };
}

/** Finds everything that would stop the run later; throws it all in one Failure, or returns what to warn of. */
export async function check(run: Run, situation: Situation): Promise<Preflight> {
  const available = await byGroup(databaseNodes(situation.topology), async (node) => {
    const missing = missingExtensions(situation, node);
    return missing.length === 0 ? [] : await observeAvailabilityOf(run, node, missing);
  });
  // What others own is read only where Citus is about to carry it: an unchanged database costs nothing here.
  const holding = databaseNodes(situation.topology).filter(({ group }) => situation.inside.has(group));
  const carried =
    carryingStep(situation) === undefined
      ? undefined
      : await byGroup(holding, (node) => observeCarriedCodeOf(run, node));
  const { warnings, problems: found } = preflight(situation, available, carried);
  const problems = [...found, ...(await scriptProblems(run, situation)), ...(await undeclaredMembers(situation, run))];
  if (problems.length > 0) throw preflightFailure(situation.database.name, problems);
  await observeManagedRoles(situation, run);
  return { problems, warnings };
}

/** Extensions whose scripts are due where others may have made functions. */
async function scriptProblems(run: Run, situation: Situation): Promise<readonly Problem[]> {
  if (!isOpen(situation)) return [];
  const nodes = databaseNodes(situation.topology).filter(({ group }) => situation.inside.has(group));
  const found = await byGroup(nodes, async (node) => {
    // What is made in a schema of its own is refused by more than names (objects/extensionSchema.ts).
    const due = placedExtensions(situation, missingExtensions(situation, node)).filter(
      ({ alone, from }) => alone !== true || from !== undefined,
    );
    return due.length === 0 ? [] : await observeMistakenNamesOf(run, node, due);
  });
  return nodes.flatMap((node) =>
    mistakenNamesProblems(found.get(node.group) ?? [], label(situation, node), situation.database.name),
  );
}

/** The same situation with what to do with initSQL; refuses if what was executed is no prefix of the script. */
export async function withInitSql(situation: Situation, script: GivenScript | undefined): Promise<Situation> {
  if (script === undefined) return situation;
  const decision = await decide(situation, script);
  if (decision.kind === 'refused') throw refusal(decision, situation.database.name);
  if (decision.kind === 'copied') throw copyRefusal(decision, situation.database.name);
  return { ...situation, initSql: decision, initSqlOpens: letsOthersIn(decision) };
}

async function decide(situation: Situation, script: GivenScript): Promise<InitSqlDecision> {
  const { coordinator } = situation.topology;
  const { ledger } = inside(situation, coordinator);
  const policy = situation.database.initSQLPolicy;
  const copyOf = ledger?.copyOf ?? undefined;
  const executed = ledger?.rows === 'asScript' ? decideExecuted({ policy, copyOf }) : undefined;
  if (executed !== undefined) return executed;
  const { units } = script.kind === 'read' ? script : await script.read();
  const managed = origin(situation) !== 'existing';
  return decideInitSql({ policy, units, ledger: ledgerRows(ledger?.rows, units), copyOf, managed });
}

/** Of the ledger to which the script leads. */
export function digestOf(script: GivenScript): string {
  return script.kind === 'known' ? script.digest : ledgerDigest(script.units);
}

function preflightFailure(database: string, problems: readonly Problem[]): Failure {
  return problemsFailure(problems, {
    database,
    what: `Database '${database}' cannot be made ready: ${problems.length} problems`,
    after: 'Nothing was changed',
  });
}
