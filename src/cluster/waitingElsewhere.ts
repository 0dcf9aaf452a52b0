import { ACTIVITY_FOR, type Activity } from '../postgres/activity.ts';
import { connect, MAINTENANCE_DATABASE } from '../postgres/connection.ts';
import type { Access } from '../secrets/credentials.ts';
import type { NodeSpec } from '../spec/types.ts';

const DEADLINE_MS = 5_000;

/**
 * What a statement waits for on other nodes: on its own it shows no lock while Citus waits for a worker's answer. Nodes
 * that do not answer are left out; a statement that needs them fails by itself.
 */
export async function waitingElsewhere(
  nodes: readonly NodeSpec[],
  access: Access,
  labelOf: (node: NodeSpec) => string,
  session: { readonly backendPid: number; readonly database: string },
): Promise<Activity | undefined> {
  const found = await Promise.all(
    nodes.map(async (node) => {
      const activity = await ask(node, access, session).catch(() => undefined);
      return activity === undefined ? [] : [{ ...activity, elsewhere: labelOf(node) }];
    }),
  );
  return found.flat()[0];
}

async function ask(
  node: NodeSpec,
  access: Access,
  { backendPid, database }: { readonly backendPid: number; readonly database: string },
): Promise<Activity | undefined> {
  const target = { node, database: MAINTENANCE_DATABASE };
  const session = await connect(target, access, {
    applicationName: 'citus-databases probe',
    connectTimeoutMs: DEADLINE_MS,
  });
  try {
    const { rows } = await session.query<Activity>(ACTIVITY_FOR, [backendPid, database], { deadlineMs: DEADLINE_MS });
    return rows[0];
  } finally {
    await session.close();
  }
}
