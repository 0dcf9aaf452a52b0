import type { Context } from '../context.ts';
import { type Joined, joinCluster } from './join.ts';
import { joinAsOwner } from './joinAsOwner.ts';
import type { WhileWaiting } from './ready.ts';

/** For commands that know what to do without a superuser as well. */
export async function joinAny(context: Context, whileWaiting: WhileWaiting): Promise<Joined> {
  return context.spec.cluster.withoutSuperuser ? joinAsOwner(context) : await joinCluster(context, whileWaiting);
}
