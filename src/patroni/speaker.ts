import { forAll } from '../concurrency/parallel.ts';
import { poll } from '../concurrency/poll.ts';
import { Failure } from '../report/errors.ts';
import type { PatroniGroupSpec, PatroniMemberSpec } from '../spec/types.ts';
import { type MemberStatus, parseStatus } from './replies.ts';
import { callPatroni, type RestAccess, type RestAddress, readReply } from './rest.ts';

/** What one member says of itself, or why it says nothing. */
export interface Answer {
  readonly address: RestAddress;
  readonly given: PatroniMemberSpec | undefined;
  readonly status: MemberStatus | undefined;
  readonly error: unknown;
}

export interface Introduced {
  /** Of every member that the spec lists, in its order. */
  readonly answers: readonly Answer[];
  /** Whose word counts for the group, and who is sent what is for the group. */
  readonly speaker: RestAddress;
}

export function addressOf(member: PatroniMemberSpec): RestAddress {
  return { host: member.host, port: member.restPort, label: `${member.host}:${member.restPort}` };
}

const POLL_MS = 1_000;
/** A primary that has just been replaced says so at its next loop (Patroni's default loop_wait). */
const HANDOVER_MS = 10_000;

/**
 * Asks every listed member who it is. A member of another cluster, whose address a pod of that cluster may have got, is
 * neither believed nor sent anything. The primary speaks for its group: a replica that is cut off, or whose operator is
 * hostile, may know another configuration. Where none says that it is the primary, the first that answers speaks.
 */
export async function introduce(group: PatroniGroupSpec, access: RestAccess): Promise<Introduced> {
  const deadline = performance.now() + HANDOVER_MS;
  let last: readonly Answer[] = [];
  const found = await poll(
    async () => {
      last = await forAll(group.members, (given) => ask(addressOf(given), given, access));
      for (const answer of last) refuseStranger(answer, access.scope);
      const primaries = last.filter(({ status }) => status?.isPrimary === true);
      return primaries.length > 1 ? undefined : { answers: last, primary: primaries[0] };
    },
    { everyMs: POLL_MS, deadline, signal: access.signal },
  );
  if (found === undefined) throw twoPrimaries(last);
  const speaker = found.primary ?? found.answers.find(({ status }) => status !== undefined);
  if (speaker === undefined) throw found.answers[0]?.error;
  return { answers: found.answers, speaker: speaker.address };
}

export async function ask(
  address: RestAddress,
  given: PatroniMemberSpec | undefined,
  access: RestAccess,
): Promise<Answer> {
  try {
    const reply = await callPatroni(address, access, { method: 'GET', path: '/patroni' });
    // 503 is how a member says that its server does not run; the body is there all the same
    const status = readReply(address, 'GET /patroni', () => parseStatus(reply.body));
    return { address, given, status, error: undefined };
  } catch (error) {
    access.signal.throwIfAborted();
    return { address, given, status: undefined, error };
  }
}

function refuseStranger({ address, status }: Answer, scope: string): void {
  if (status?.scope === undefined || status.scope === scope) return;
  throw new Failure({
    kind: 'refused',
    what: 'A member belongs to another Patroni cluster',
    node: address.label,
    cause: `Its scope is '${status.scope}', and patroni.scope of the spec is '${scope}'`,
    next: 'Correct its address in patroni.groups, or patroni.scope. Nothing was sent to it',
  });
}

function twoPrimaries(answers: readonly Answer[]): Failure {
  const labels = answers.filter(({ status }) => status?.isPrimary === true).map(({ address }) => address.label);
  return new Failure({
    kind: 'failed',
    what: 'Several members of a group say that they are its primary',
    node: labels[0],
    cause: labels.join(', '),
    next: 'Find out which of them Patroni knows as the leader (patronictl list), end the other one, and run again',
  });
}
