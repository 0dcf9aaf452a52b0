import { awaitImage, joinCluster, patience } from '../cluster/join.ts';
import { joinAsOwner, waitForDatabase } from '../cluster/joinAsOwner.ts';
import { waitForOneVersion } from '../cluster/versions.ts';
import type { Context } from '../context.ts';
import { problemsFailure } from '../reconcile/problemsFailure.ts';

/** Waits until the pods run one image, every node accepts writes and all have one version, and does nothing else. */
export async function wait(context: Context): Promise<void> {
  if (context.spec.cluster.withoutSuperuser) return await waitAsOwner(context);
  await awaitImage(context);
  const joined = await joinCluster(context);
  const nodes = 1 + joined.workers.length;
  try {
    const problems = await waitForOneVersion(
      context,
      joined,
      [joined.coordinator, ...joined.workers],
      patience(context),
    );
    if (problems.length > 0) {
      throw problemsFailure(problems, { what: `The nodes are not ready: ${problems.length} problems` });
    }
  } finally {
    await joined.sessions.close();
  }
  context.log.line(nodes === 1 ? 'PostgreSQL is ready!' : `All ${nodes} nodes are ready!`);
}

/** For the coordinator alone, and the declared databases on it. */
async function waitAsOwner(context: Context): Promise<void> {
  const joined = joinAsOwner(context);
  try {
    for (const database of context.spec.databases) await waitForDatabase(context, joined, database);
  } finally {
    await joined.sessions.close();
  }
  context.log.line('PostgreSQL coordinator is ready!');
}
