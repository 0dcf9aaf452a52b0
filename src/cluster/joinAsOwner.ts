import { Semaphore } from '../concurrency/semaphore.ts';
import type { Context } from '../context.ts';
import { describeActivity } from '../postgres/activity.ts';
import { type ConnectOptions, connect } from '../postgres/connection.ts';
import { quoteIdentifier } from '../postgres/quote.ts';
import { Sessions } from '../postgres/sessions.ts';
import { codeOf, describe } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { applicationName } from '../postgres/startup.ts';
import { Failure } from '../report/errors.ts';
import { tellNow } from '../report/heldLog.ts';
import type { DatabaseSpec } from '../spec/types.ts';
import { type Joined, loginAsUser } from './join.ts';
import { waitForNode } from './ready.ts';
import { nodeLabels } from './topology.ts';

/**
 * The cluster where there is no superuser (cluster.withoutSuperuser): sessions go to the coordinator, and into the declared
 * databases alone, since a managed service may let nobody into the maintenance database or onto a worker.
 */
export function joinAsOwner(context: Context): Joined {
  const { coordinator } = context.spec.cluster;
  const labels = nodeLabels([coordinator]);
  const open = () =>
    new Sessions((node, database) => {
      const log = context.log.about({ node: labels.get(node.group) ?? node.host, database });
      return connect({ node, database }, context.access, {
        ...optionsFor(context, database),
        signal: context.signal,
        onProbe: (activity) => tellNow(log, `${labels.get(node.group) ?? node.host}: ${describeActivity(activity)}`, 1),
      });
    });
  return {
    coordinator,
    workers: [],
    labels,
    sessions: open(),
    moreSessions: open,
    registrations: new Semaphore(1),
    proofs: new Semaphore(1),
    loginAs: loginAsUser(context),
    release: undefined,
  };
}

/**
 * Citus carries what is made on the coordinator to the workers. Roles only where one is made (asOwner/items.ts): else it would
 * send the owner's own, with its verifier, ahead of the owner's first object, and fail, since that takes a superuser.
 */
function optionsFor(context: Context, database: string): ConnectOptions {
  const settings = {
    'citus.enable_create_role_propagation': 'off',
    'citus.enable_alter_role_propagation': 'off',
  };
  return {
    applicationName: applicationName(context.command, database),
    ownSearchPath: true,
    ...(context.spec.cluster.citus ? { settings } : {}),
  };
}

/** Waits until the coordinator accepts writes. A database that is not there is no matter of waiting: nobody here makes it. */
export async function waitForDatabase(context: Context, joined: Joined, database: DatabaseSpec): Promise<void> {
  const { coordinator } = joined;
  const { maxAttempts, retryDelaySeconds, name } = database;
  const session = await waitForNode(coordinator, context.access, {
    ...{ maxAttempts, retryDelaySeconds, signal: context.signal },
    open: async ({ node }, access, options) => {
      try {
        return await connect({ node, database: name }, access, { ...options, ...optionsFor(context, name) });
      } catch (error) {
        throw closedTo(context, name, error) ?? error;
      }
    },
    onProgress: ({ attempt, reason }) => {
      const node = joined.labels.get(coordinator.group) ?? coordinator.nodeName;
      const who = context.spec.cluster.citus ? 'PostgreSQL coordinator' : 'PostgreSQL';
      context.log.about({ node }).line(`Waiting for ${who}... (attempt ${attempt}/${maxAttempts}: ${reason})`);
    },
  });
  joined.sessions.adopt(session);
}

/** undefined: the error is another one. */
function closedTo({ spec }: Context, database: string, error: unknown): Failure | undefined {
  const { user, coordinator, citus } = spec.cluster;
  const base = { kind: 'refused', node: coordinator.nodeName, database, cause: describe(error) } as const;
  const name = quoteIdentifier(database);
  const role = quoteIdentifier(user);
  if (codeOf(error) === SQLSTATE.invalidCatalogName) {
    return new Failure({
      ...base,
      what: `Database '${database}' does not exist, and without a superuser it is not created`,
      next: `Let an administrator run, on ${citus ? 'every node' : 'the server'}: CREATE DATABASE ${name} OWNER ${role}${citus ? '; in it: CREATE EXTENSION citus; and on the coordinator SELECT citus_add_node(…) for each worker' : ''}. Or create it with the tools of the service. Nothing was changed`,
    });
  }
  if (codeOf(error) === SQLSTATE.insufficientPrivilege) {
    return new Failure({
      ...base,
      what: `Role '${user}' may not connect to database '${database}'`,
      next: `Let an administrator run: GRANT CONNECT ON DATABASE ${name} TO ${role}. Nothing was changed`,
    });
  }
  return undefined;
}
