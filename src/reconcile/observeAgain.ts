import { allNodes, databaseNodes } from '../cluster/topology.ts';
import { byGroup } from '../concurrency/parallel.ts';
import { rolesOf } from '../objects/user.ts';
import type { Redactor } from '../report/redact.ts';
import type { NodeSpec } from '../spec/types.ts';
import { observeDatabaseOf, observeParametersOf, observeServerOf } from './observe.ts';
import { observeManagedRoles, refuseMembers } from './observeMembers.ts';
import { type Passwords, wantedRoles } from './observeSituation.ts';
import type { Run } from './run.ts';
import { inside, type Situation, withInside } from './situation.ts';
import type { Observable } from './work.ts';

/** What a situation becomes with newer knowledge. A function, because other nodes are observed at the same time. */
type Update = (latest: Situation) => Situation;

export interface Observing {
  readonly run: Run;
  readonly passwords: Passwords;
  readonly redactor: Redactor;
}

/** Observes during a run what an order of work asks for. */
export async function observeAgain(
  what: Observable,
  nodes: readonly NodeSpec[],
  situation: Situation,
  { run, passwords, redactor }: Observing,
): Promise<Update> {
  const { database, topology } = situation;
  switch (what) {
    case 'servers': {
      // Another run may have made roles of ours meanwhile.
      const roles = rolesOf(database);
      const { exporter } = situation.spec.cluster;
      const servers = await byGroup(allNodes(topology), (node) =>
        observeServerOf(run, node, database, roles, exporter),
      );
      const wanted = wantedRoles(database, exporter, servers, passwords, redactor);
      await refuseMembers({ ...situation, servers, ...wanted }, run);
      return (latest) => ({ ...latest, servers, ...wanted });
    }
    case 'contents':
      return await observeContents(
        nodes.filter(({ group }) => !situation.inside.has(group)),
        situation,
        run,
      );
    case 'contentsAgain':
      return await observeContents(nodes, situation, run);
    case 'parameters':
      return await observeParameters(situation, run);
    case 'tableOwners': {
      const [settings, owners] = await Promise.all([
        observeParameters(situation, run),
        observeDatabaseOf(run, topology.coordinator, database),
      ]);
      const { tableOwners = [], open = false } = owners;
      return (latest) => {
        const known = inside(latest, topology.coordinator);
        return { ...withInside(settings(latest), topology.coordinator, { ...known, open }), tableOwners };
      };
    }
    case 'managedRoles':
      return await observeManagedRoles(situation, run);
    default:
      return what satisfies never;
  }
}

/** Settings of the database and rights on it, on every node that has it. */
async function observeParameters({ database, topology }: Situation, run: Run): Promise<Update> {
  const observed = await byGroup(databaseNodes(topology), (node) => observeParametersOf(run, node, database));
  return (latest) => ({
    ...latest,
    servers: new Map(
      [...latest.servers].map(([group, known]) => [group, { ...known, ...observed.get(group) }] as const),
    ),
  });
}

async function observeContents(nodes: readonly NodeSpec[], { database }: Situation, run: Run): Promise<Update> {
  const observed = await byGroup(nodes, (node) => observeDatabaseOf(run, node, database));
  return (latest) => ({ ...latest, inside: new Map([...latest.inside, ...observed]) });
}
