import { databaseNodes } from '../cluster/topology.ts';
import { byGroup } from '../concurrency/parallel.ts';
import { LINKS_OF_USER, type Link } from '../objects/verification.ts';
import { retryTransient } from '../postgres/retry.ts';
import { codeOf, describe } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { Failure, Interrupted } from '../report/errors.ts';
import type { NodeSpec, UserSpec } from '../spec/types.ts';
import type { Run } from './run.ts';
import { inside, isPlain, label, type Situation } from './situation.ts';

/** all: each user on each node. sample: each user on one node, and the first one on each. */
export type UsersToProve = 'all' | 'sample';

export interface UserProof {
  readonly users: number;
  readonly logins: number;
  /** pg_hba.conf lets these in from elsewhere, perhaps; from here nothing can be proved. */
  readonly unproved: readonly string[];
}

/**
 * A new server may need a moment, and on a busy machine a first login with Citus took more than 10 s, the limit of one attempt; more is
 * no matter of waiting.
 */
const PATIENCE_MS = 30_000;

/** invalid_authorization_specification: no entry of pg_hba.conf fits. A wrong password is 28P01. */
const NOT_FROM_HERE = SQLSTATE.invalidAuthorizationSpecification;

/**
 * Declared users log in on the nodes with their own passwords, and reach every other node through Citus with their own
 * rows of pg_dist_authinfo. Each statement runs as the user, with the user's rights.
 */
export async function proveUsers(run: Run, situation: Situation, which: UsersToProve): Promise<UserProof> {
  const users = situation.users.filter(({ spec, password }) => spec.login && password !== undefined);
  const wrong: string[] = [];
  const unproved: string[] = [];
  let logins = 0;
  const nodes = databaseNodes(situation.topology);
  await byGroup(nodes, (node) =>
    run.proofs.take(async () => {
      for (const [index, { spec, password = '' }] of users.entries()) {
        if (which === 'sample' && index > 0 && nodes[index % nodes.length] !== node) continue;
        const found = await loginOf(run, situation, node, spec, password);
        logins += 1;
        if (found.kind === 'unproved') unproved.push(found.text);
        else wrong.push(...found.wrong);
      }
    }),
  );
  if (wrong.length > 0) {
    throw new Failure({
      kind: 'failed',
      what: `Verification failed: declared users cannot use database '${run.database}'`,
      database: run.database,
      cause: wrong.join('\n'),
      next: 'Run citus-databases apply, which sets roles, passwords, rights and pg_dist_authinfo; if it finds nothing to do, look at pg_hba.conf and the limits of connections',
    });
  }
  return { users: users.length, logins, unproved };
}

type Login =
  | { readonly kind: 'proved'; readonly wrong: readonly string[] }
  | { readonly kind: 'unproved'; readonly text: string };

async function loginOf(
  run: Run,
  situation: Situation,
  node: NodeSpec,
  user: UserSpec,
  password: string,
): Promise<Login> {
  const name = label(situation, node);
  try {
    const links = await retryTransient(
      async () => {
        const session = await run.loginAs({ node, user: user.name, password });
        try {
          const text = LINKS_OF_USER[isPlain(situation) ? 'plain' : 'citus'];
          return (await session.query<Link>(text, [], { deadlineMs: PATIENCE_MS })).rows;
        } finally {
          await session.close();
        }
      },
      { deadline: performance.now() + PATIENCE_MS, signal: run.signal },
    );
    return { kind: 'proved', wrong: isPlain(situation) ? [] : wrongLinks(situation, user, name, links) };
  } catch (error) {
    if (error instanceof Interrupted || run.signal.aborted) throw error;
    const text = `user '${user.name}' cannot log in on ${name}: ${describe(error)}`;
    return codeOf(error) === NOT_FROM_HERE ? { kind: 'unproved', text } : { kind: 'proved', wrong: [text] };
  }
}

function wrongLinks(situation: Situation, user: UserSpec, name: string, links: readonly Link[]): readonly string[] {
  const readOnly = [situation.database, user].some(({ parameters }) =>
    Object.keys(parameters).some((parameter) => parameter.toLowerCase() === 'default_transaction_read_only'),
  );
  const rows = inside(situation, situation.topology.coordinator).metadata?.nodes ?? [];
  return links.flatMap(({ nodeid, success, result }) => {
    const row = rows.find((candidate) => candidate.nodeid === nodeid);
    const target = row === undefined ? `node ${nodeid}` : `${row.nodename}:${row.nodeport}`;
    if (!success) return [`user '${user.name}' cannot reach ${target} from ${name}: ${result.trim()}`];
    if (result === 'on' && !readOnly) return [`user '${user.name}' can only read on ${target}, seen from ${name}`];
    return [];
  });
}
