import { forAll } from '../concurrency/parallel.ts';
import { describe } from '../postgres/sqlstate.ts';
import { Failure } from '../report/errors.ts';
import type { PatroniGroupSpec, PatroniMemberSpec } from '../spec/types.ts';
import type { DynamicConfig } from './difference.ts';
import { type MemberStatus, parseCluster, parseConfig, parseStatus, type RosterEntry } from './replies.ts';
import { bodyText, callPatroni, type RestAccess, type RestAddress } from './rest.ts';
import type { RestMember } from './restMember.ts';

/** A group as its members tell it at one moment. */
export interface GroupView {
  readonly group: number;
  readonly members: readonly RestMember[];
  /** Maintenance mode. */
  readonly paused: boolean;
  /** Members that the spec lists and Patroni does not know (yet). */
  readonly strangers: readonly string[];
}

interface Answer {
  readonly address: RestAddress;
  readonly given: PatroniMemberSpec | undefined;
  readonly status: MemberStatus | undefined;
  readonly error: unknown;
}

export function addressOf(member: PatroniMemberSpec): RestAddress {
  return { host: member.host, port: member.restPort, label: `${member.host}:${member.restPort}` };
}

/** Why a member could not be asked, in a few words. */
export function reasonOf(error: unknown): string {
  return error instanceof Failure ? (error.details.cause ?? error.details.what) : describe(error);
}

/** Members that the spec lists are as many as it says; the others are not. */
const AT_ONCE = 10;

/** Asks every member of a group at the same time, those included that Patroni knows and the spec does not. */
export async function viewGroup(group: PatroniGroupSpec, access: RestAccess): Promise<GroupView> {
  const answers = await forAll(group.members, (given) => ask(addressOf(given), given, access));
  const answering = answers.find((answer) => answer.status !== undefined);
  if (answering === undefined) throw answers[0]?.error;
  const reply = await callPatroni(answering.address, access, { method: 'GET', path: '/cluster' });
  if (reply.status !== 200) throw unexpected(answering.address, 'GET /cluster', reply);
  const roster = read(answering.address, 'GET /cluster', () => parseCluster(reply.body));
  const matched = new Map(roster.members.map((entry) => [entry.name, answers.find((answer) => isFor(answer, entry))]));
  const members = await forAll(
    roster.members,
    async (entry): Promise<RestMember> => {
      const answer = matched.get(entry.name) ?? (await askUnlisted(entry, access));
      return {
        ...entry,
        address: answer?.address,
        sql: answer?.given,
        status: answer?.status,
        error: answer?.error,
      };
    },
    AT_ONCE,
  );
  const known = new Set(matched.values());
  const strangers = answers.filter((answer) => !known.has(answer)).map((answer) => answer.address.label);
  return { group: group.group, members, paused: roster.paused, strangers };
}

/** By the name that the member gives itself; one that does not answer by the address that Patroni has of it. */
function isFor(answer: Answer, entry: RosterEntry): boolean {
  if (answer.status?.name !== undefined) return answer.status.name === entry.name;
  const url = urlOf(entry);
  if (url !== undefined && url.hostname === answer.address.host && Number(url.port) === answer.address.port)
    return true;
  // a pod's name is the first label of its address
  return answer.address.host === entry.name || answer.address.host.startsWith(`${entry.name}.`);
}

async function ask(address: RestAddress, given: PatroniMemberSpec | undefined, access: RestAccess): Promise<Answer> {
  try {
    const reply = await callPatroni(address, access, { method: 'GET', path: '/patroni' });
    // 503 is how a member says that its server does not run; the body is there all the same
    const status = read(address, 'GET /patroni', () => parseStatus(reply.body));
    return { address, given, status, error: undefined };
  } catch (error) {
    access.signal.throwIfAborted();
    return { address, given, status: undefined, error };
  }
}

async function askUnlisted(entry: RosterEntry, access: RestAccess): Promise<Answer | undefined> {
  const url = urlOf(entry);
  if (url === undefined) return undefined;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return await ask({ host, port, label: entry.name }, undefined, access);
}

function urlOf(entry: RosterEntry): URL | undefined {
  return entry.apiUrl !== undefined && URL.canParse(entry.apiUrl) ? new URL(entry.apiUrl) : undefined;
}

/** What Patroni keeps for the group, from the first member that answers. */
export async function readConfig(group: PatroniGroupSpec, access: RestAccess): Promise<DynamicConfig> {
  const { address, reply } = await callAny(group, access, { method: 'GET', path: '/config' });
  // Patroni answers 502 until the group has been initialised
  if (reply.status !== 200) throw unexpected(address, 'GET /config', reply);
  return read(address, 'GET /config', () => parseConfig(reply.body));
}

/** One request to whichever member answers first, in the order of the spec. */
export async function callAny(
  group: PatroniGroupSpec,
  access: RestAccess,
  request: Parameters<typeof callPatroni>[2],
): Promise<{ readonly address: RestAddress; readonly reply: Awaited<ReturnType<typeof callPatroni>> }> {
  let first: unknown;
  for (const member of group.members) {
    const address = addressOf(member);
    try {
      return { address, reply: await callPatroni(address, access, request) };
    } catch (error) {
      access.signal.throwIfAborted();
      // a refusal is the same everywhere, and tells more than a pod that is not there
      if (error instanceof Failure && error.cause === undefined) throw error;
      first ??= error;
    }
  }
  throw first;
}

export function unexpected(address: RestAddress, request: string, reply: Parameters<typeof bodyText>[0]): Failure {
  return new Failure({
    kind: 'failed',
    what: `Patroni did not do what ${request} asks`,
    node: address.label,
    cause: `HTTP ${reply.status}: ${bodyText(reply)}`,
    next: 'Look at the log of that member (kubectl logs of its pod) and run again',
  });
}

function read<T>(address: RestAddress, request: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new Failure(
      {
        kind: 'failed',
        what: `The answer to ${request} is not what Patroni answers`,
        node: address.label,
        next: "Check that the host and restPort are those of a Patroni member's REST API (patroni.groups)",
      },
      { cause: error },
    );
  }
}
