import { type Change, type Item, note } from '../../objects/change.ts';
import { diffCitus, diffColumnar } from '../../objects/citusExtension.ts';
import { diffCitusUpgrade } from '../../objects/citusUpgrade.ts';
import { COLUMNAR, diffExtensions, type ExtensionContext, versionsLikeCoordinator } from '../../objects/extension.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { placedExtensions } from '../placedExtensions.ts';
import { inside, isOpen, isPlain, label, type Situation, server } from '../situation.ts';
import { line } from '../work.ts';
import { type DatabaseWork, onCoordinator, onWorkers } from './databaseWork.ts';

export const workerExtensions: DatabaseWork = {
  name: 'extensions on workers',
  nodes: onWorkers,
  items: workerInsideItems,
  log: 'lanes',
  observe: () => 'contents',
  after: (_, [name]) => [line(`Worker ${name} configured successfully!`, 2)],
  nothing: ({ database }) => `ready; database '${database.name}' and its extensions already exist`,
};

/** Step 1, inside the worker's database. */
export function workerInsideItems(situation: Situation, worker: NodeSpec): readonly Item[] {
  const observed = inside(situation, worker);
  const context = extensionContext(situation, worker, false);
  return [
    ...citusItems(situation, worker),
    ...diffExtensions(
      placedExtensions(situation, versionsLikeCoordinator(situation.database.extensions, context.onCoordinator)),
      observed.extensions,
      context,
    ),
  ];
}

export const coordinatorCitus: DatabaseWork = {
  name: 'citus on coordinator',
  nodes: onCoordinator,
  items: coordinatorCitusItems,
  log: 'lines',
  observe: () => 'contents',
};

export function coordinatorCitusItems(situation: Situation): readonly Item[] {
  return citusItems(situation, situation.topology.coordinator);
}

/** citus, and citus_columnar where it is there. */
export function citusItems(situation: Situation, node: NodeSpec): readonly Item[] {
  const { extensions } = inside(situation, node);
  const context = extensionContext(situation, node, node.group === 0);
  return [...diffCitus(extensions, context), ...diffColumnar(extensions, context)];
}

export const coordinatorExtensions: DatabaseWork = {
  name: 'extensions on coordinator',
  nodes: onCoordinator,
  items: coordinatorExtensionItems,
  log: 'lines',
  observe: () => 'contents',
  after: (situation) => [
    line(isPlain(situation) ? 'Extensions enabled!' : 'Additional extensions enabled on coordinator!'),
  ],
};

export function coordinatorExtensionItems(situation: Situation): readonly Item[] {
  const { coordinator } = situation.topology;
  const wanted = situation.database.extensions;
  if (wanted.length === 0) return [note('No additional extensions specified')];
  return diffExtensions(
    placedExtensions(situation, wanted),
    inside(situation, coordinator).extensions,
    extensionContext(situation, coordinator, true),
  );
}

/**
 * What ALTER EXTENSION leaves to the end: when every node has the new version. Before workers are registered or synced:
 * the new Citus sends them no colocation group of several collations ("cannot colocate tables").
 */
export const citusUpgrade: DatabaseWork = {
  name: 'upgrade of citus',
  nodes: onCoordinator,
  items: citusUpgradeItems,
  log: 'lines',
};

/** Step 6, when every node has the new version. */
export function citusUpgradeItems(situation: Situation): readonly Change[] {
  const { coordinator } = situation.topology;
  const { extensions, citusUpgrade } = inside(situation, coordinator);
  const version = extensions.find((extension) => extension.name === 'citus')?.version;
  const library = server(situation, coordinator).settings.citusVersion ?? undefined;
  return diffCitusUpgrade(citusUpgrade, version, library, coordinator);
}

function extensionContext(situation: Situation, node: NodeSpec, coordinator: boolean): ExtensionContext {
  const own = inside(situation, node).metadata;
  return {
    node,
    label: label(situation, node),
    coordinator,
    registered: !coordinator && own !== undefined && (own.localGroup !== 0 || own.nodes.length > 0),
    // Without a superuser a script has no more rights than whoever owns the functions, or is trusted.
    open: isOpen(situation) && !situation.spec.cluster.withoutSuperuser,
    onCoordinator: inside(situation, situation.topology.coordinator).extensions,
    citusVersion: server(situation, node).settings.citusVersion ?? undefined,
    columnarVersion: declaresVersion(situation, COLUMNAR)
      ? undefined
      : (server(situation, node).settings.columnarVersion ?? undefined),
  };
}

function declaresVersion({ database }: Situation, name: string): boolean {
  return database.extensions.some((extension) => extension.name === name && extension.version !== undefined);
}
