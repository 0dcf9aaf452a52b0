import type { Joined } from '../cluster/join.ts';
import { forAll } from '../concurrency/parallel.ts';
import { poll } from '../concurrency/poll.ts';
import type { Context } from '../context.ts';
import { type ArchiverState, type CreatedPoint, observeArchived, SWITCH_WAL } from '../objects/restorePoint.ts';
import { MAINTENANCE_DATABASE, type Session } from '../postgres/connection.ts';
import type { NodeSpec } from '../spec/types.ts';

export interface PointOnNode extends CreatedPoint {
  readonly node: NodeSpec;
}

const POLL_MS = 200;

/**
 * Sends the WAL of the points to the archives and waits for it: a point that is not archived is lost with its server.
 * Returns the groups whose archive has it.
 */
export async function archivePoints(
  context: Context,
  joined: Joined,
  points: readonly PointOnNode[],
  timeoutSeconds: number,
): Promise<ReadonlySet<number>> {
  const deadline = performance.now() + timeoutSeconds * 1000;
  const archived = await forAll(points, async ({ node, walFile }) => {
    const session = await joined.sessions.get(node, MAINTENANCE_DATABASE);
    await session.query(SWITCH_WAL);
    const state = await untilArchived(session, walFile, { deadline, signal: context.signal });
    if (state.archived) return [node.group];
    const failed = state.lastFailed === null ? '' : `; archiving ${state.lastFailed} failed`;
    const name = joined.labels.get(node.group) ?? node.nodeName;
    context.log.warn(`${name}: segment ${walFile} was not archived within ${timeoutSeconds} s${failed}`);
    return [];
  });
  return new Set(archived.flat());
}

async function untilArchived(
  session: Session,
  walFile: string,
  { deadline, signal }: { readonly deadline: number; readonly signal: AbortSignal },
): Promise<ArchiverState> {
  let state: ArchiverState = { archived: false, lastFailed: null };
  await poll(
    async () => {
      state = (await session.query<ArchiverState>(observeArchived(walFile))).rows[0] ?? state;
      return state.archived ? true : undefined;
    },
    { everyMs: POLL_MS, deadline, signal },
  );
  return state;
}
