import { databaseNodes } from '../cluster/topology.ts';
import type { Problem } from '../objects/change.ts';
import { templateProblems } from '../objects/collationVersion.ts';
import { copiesTemplate, templateDaemonProblem, templateOf } from '../objects/database.ts';
import { type AvailableExtension, versionsLikeCoordinator } from '../objects/extension.ts';
import { packageProblems } from '../objects/extensionProblems.ts';
import { inside, label, type Situation, server } from './situation.ts';

/** Nodes whose packages differ, and templates that cannot be copied. */
export function newDatabaseProblems(
  situation: Situation,
  available: ReadonlyMap<number, readonly AvailableExtension[]>,
): readonly Problem[] {
  const { database, topology } = situation;
  const nodes = databaseNodes(topology);
  const template = templateOf(database);
  const like = server(situation, topology.coordinator).database ?? server(situation, topology.coordinator).template;
  const known = inside(situation, topology.coordinator).extensions;
  const catalogues = nodes.flatMap((node) => {
    const catalogue = available.get(node.group);
    return catalogue === undefined ? [] : [{ label: label(situation, node), available: catalogue }];
  });
  return [
    ...nodes.flatMap((node) => {
      const observed = server(situation, node);
      if (observed.database !== null) return [];
      if (!copiesTemplate(database, { template: observed.template, like })) return [];
      return [
        ...templateProblems(template, observed.collationVersions ?? [], label(situation, node)),
        ...(observed.templateDaemon === true ? [templateDaemonProblem(template, label(situation, node))] : []),
      ];
    }),
    ...packageProblems(versionsLikeCoordinator(database.extensions, known), catalogues),
  ];
}
