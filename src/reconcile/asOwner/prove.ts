import type { LineLog, StepLog } from '../../report/stepLog.ts';
import { notReady, probeDistributedTable } from '../prove.ts';
import { proveUsers, type UsersToProve } from '../proveUsers.ts';
import type { Run } from '../run.ts';
import { inside, label } from '../situation.ts';
import { clusterProblems } from './clusterRights.ts';
import { differingExtensions } from './extensionRights.ts';
import { absentRoles } from './roleRights.ts';
import type { OwnerSituation } from './situation.ts';

export interface OwnerProof {
  readonly nodes: number;
  /** From the coordinator to the workers; those between workers are not seen. */
  readonly links: number;
}

/**
 * What the role can prove, in every run: nothing remembers a proof that failed. The situation was observed after the last
 * change.
 */
export async function proveAsOwner(
  run: Run,
  situation: OwnerSituation,
  log: StepLog,
  users: UsersToProve,
): Promise<OwnerProof> {
  const { declared, topology, workers, rights } = situation;
  const problems = [...clusterProblems(situation), ...absentRoles(situation), ...differingExtensions(situation)];
  const wrong = [...problems.map(({ node, what }) => `${node}: ${what}`), ...schemaFaults(situation)];
  if (wrong.length > 0) {
    throw notReady(run, wrong, 'Remove the cause and run again; what needs a superuser is for an administrator to do');
  }
  const nodes = 1 + workers.length;
  if (!declared.cluster.citus) {
    log.line('✓ the database answers and holds what was declared', 1);
  } else {
    log.line(`✓ the coordinator reaches ${workers.length} of ${workers.length} workers as '${rights.user}'`, 1);
    if (workers.length > 0) {
      const whole = { ...topology, workers: workers.map(({ node }) => node) };
      await probeDistributedTable(run, { ...situation, topology: whole });
      log.line('✓ a distributed table was created, written and read on every worker, and rolled back', 1);
    }
  }
  const proved = await proveUsers(run, { ...situation, spec: declared }, users);
  for (const text of proved.unproved) log.warn(`Not proved from here: ${text}`, 1);
  if (proved.users > 0) {
    const who = `${proved.users} ${proved.users === 1 ? 'user' : 'users'}`;
    log.line(`✓ ${who} logged in on the coordinator${declared.cluster.citus ? ' and reached every worker' : ''}`, 1);
  }
  sayWhatIsNotProved(situation, log);
  return { nodes, links: workers.length };
}

function sayWhatIsNotProved({ declared, workers }: OwnerSituation, log: LineLog): void {
  if (!declared.cluster.citus || workers.length === 0) return;
  log.line(
    'Not proved without a superuser: connections from the workers, logins and passwords on the workers, and that every shard is where the catalog says',
    1,
  );
}

/** What the coordinator has as declared, and Citus did not carry over. */
function schemaFaults(situation: OwnerSituation): readonly string[] {
  const { database, topology, workers } = situation;
  const { schemas } = inside(situation, topology.coordinator);
  return workers.flatMap(({ node, answer }) =>
    database.schemas.flatMap(({ name }) => {
      const here = schemas.find((schema) => schema.name === name)?.owner;
      const there = answer?.schemas.find((schema) => schema.name === name)?.owner;
      if (answer === undefined || here === there) return [];
      return [
        `${label(situation, node)}: schema ${name} ${there === undefined ? 'is missing' : `belongs to '${there}'`}, and on the coordinator it belongs to '${here ?? 'nobody'}'`,
      ];
    }),
  );
}

/** What cannot be called ready without qualification. */
export function readyLine({ database, rights }: OwnerSituation): string {
  return `Database '${database.name}' is ready, as far as '${rights.user}' can prove`;
}
