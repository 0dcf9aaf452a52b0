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
const FIRST_WORD_MS = 10_000;
const NEXT_WORD_MS = 30_000;

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
    const name = joined.labels.get(node.group) ?? node.nodeName;
    const state = await untilArchived(session, walFile, {
      deadline,
      signal: context.signal,
      onWait: (seen) => context.log.line(`${name}: waiting for segment ${walFile} to be archived${failed(seen)}`, 1),
    });
    if (state.archived) return [node.group];
    context.log.warn(`${name}: segment ${walFile} was not archived within ${timeoutSeconds} s${failed(state)}`);
    return [];
  });
  return new Set(archived.flat());
}

function failed({ lastFailed }: ArchiverState): string {
  return lastFailed === null ? '' : `; archiving ${lastFailed} failed`;
}

export interface ArchiveWait {
  readonly deadline: number;
  readonly signal: AbortSignal;
  /** Called now and then while it is not archived. */
  readonly onWait: (state: ArchiverState) => void;
  readonly firstWordMs?: number;
}

export async function untilArchived(
  session: Pick<Session, 'query'>,
  walFile: string,
  { deadline, signal, onWait, firstWordMs = FIRST_WORD_MS }: ArchiveWait,
): Promise<ArchiverState> {
  let state: ArchiverState = { archived: false, lastFailed: null };
  let nextWord = performance.now() + firstWordMs;
  await poll(
    async () => {
      state = (await session.query<ArchiverState>(observeArchived(walFile))).rows[0] ?? state;
      if (state.archived) return true;
      if (performance.now() >= nextWord) {
        onWait(state);
        nextWord = performance.now() + NEXT_WORD_MS;
      }
      return undefined;
    },
    { everyMs: POLL_MS, deadline, signal },
  );
  return state;
}
