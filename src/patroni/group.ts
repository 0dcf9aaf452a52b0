import { forAll } from '../concurrency/parallel.ts';
import { describe } from '../postgres/sqlstate.ts';
import { Failure } from '../report/errors.ts';
import type { PatroniGroupSpec } from '../spec/types.ts';
import type { DynamicConfig, Patch } from './difference.ts';
import { parseCluster, parseConfig, type RosterEntry } from './replies.ts';
import { bodyText, callPatroni, type RestAccess, type RestAddress, readReply } from './rest.ts';
import type { RestMember } from './restMember.ts';
import { type Answer, ask, introduce } from './speaker.ts';

/** A group as its members tell it at one moment. */
export interface GroupView {
  readonly group: number;
  readonly members: readonly RestMember[];
  /** Maintenance mode. */
  readonly paused: boolean;
  /** Members that the spec lists and Patroni does not know (yet). */
  readonly strangers: readonly string[];
}

/** Why a member could not be asked, in a few words. */
export function reasonOf(error: unknown): string {
  return error instanceof Failure ? (error.details.cause ?? error.details.what) : describe(error);
}

/** Members that the spec lists are as many as it says; the others are not. */
const AT_ONCE = 10;

/** Asks every member of a group at the same time, those included that Patroni knows and the spec does not. */
export async function viewGroup(group: PatroniGroupSpec, access: RestAccess): Promise<GroupView> {
  const { answers, speaker } = await introduce(group, access);
  const reply = await callPatroni(speaker, access, { method: 'GET', path: '/cluster' });
  if (reply.status !== 200) throw unexpected(speaker, 'GET /cluster', reply);
  const roster = readReply(speaker, 'GET /cluster', () => parseCluster(reply.body));
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

/** What Patroni keeps for the group. */
export async function readConfig(group: PatroniGroupSpec, access: RestAccess): Promise<DynamicConfig> {
  const { speaker } = await introduce(group, access);
  const reply = await callPatroni(speaker, access, { method: 'GET', path: '/config' });
  // Patroni answers 502 until the group has been initialised
  if (reply.status !== 200) throw unexpected(speaker, 'GET /config', reply);
  return readReply(speaker, 'GET /config', () => parseConfig(reply.body));
}

/** Changes what Patroni keeps for the group. */
export async function sendConfig(group: PatroniGroupSpec, access: RestAccess, patch: Patch): Promise<void> {
  const { speaker } = await introduce(group, access);
  const reply = await callPatroni(speaker, access, { method: 'PATCH', path: '/config', body: patch });
  // 409: somebody else changed the configuration at the same moment
  if (reply.status !== 200) throw unexpected(speaker, 'PATCH /config', reply);
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
