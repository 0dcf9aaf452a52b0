import { databaseNodes } from '../cluster/topology.ts';
import { registration } from '../objects/citusMetadata.ts';
import type { Link, VerificationReport } from '../objects/verification.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Situation } from './situation.ts';
import { label } from './situation.ts';

/**
 * What the nodes' reports prove wrong, one sentence each; empty means proved. Pure: the reports were gathered at the
 * same time, one from each node.
 */
export function judge(situation: Situation, reports: ReadonlyMap<number, VerificationReport>): readonly string[] {
  const { topology, database, spec } = situation;
  const coordinator = reports.get(topology.coordinator.group);
  if (coordinator === undefined) return ['the coordinator did not report'];
  const wrong: string[] = [];
  const nodes = databaseNodes(topology);
  for (const node of nodes) {
    const report = reports.get(node.group);
    const name = label(situation, node);
    if (report === undefined) {
      wrong.push(`${name} did not report`);
      continue;
    }
    const wanted = [...(spec.cluster.citus ? ['citus'] : []), ...database.extensions.map(({ name }) => name)];
    for (const extension of wanted) {
      const here = report.extensions.find((candidate) => candidate.name === extension)?.version;
      const there = coordinator.extensions.find((candidate) => candidate.name === extension)?.version;
      if (here === undefined) wrong.push(`extension ${extension} is missing on ${name}`);
      else if (here !== there)
        wrong.push(`extension ${extension} is ${here} on ${name} and ${there ?? 'missing'} on the coordinator`);
    }
    for (const extension of database.extensions) {
      const here = report.extensions.find((candidate) => candidate.name === extension.name);
      if (here !== undefined && extension.version !== undefined && here.version !== extension.version) {
        wrong.push(`extension ${extension.name} is ${here.version} on ${name}, not ${extension.version}`);
      }
    }
    if (spec.cluster.citus) wrong.push(...metadataFaults(node, name, report, coordinator));
  }
  for (const node of spec.cluster.citus ? nodes : []) {
    const row = registration(node, coordinator.metadata);
    const name = `${node.nodeName}:${node.nodePort}`;
    const started = startOf(coordinator.links.find(({ nodeid }) => nodeid === row?.nodeid));
    if (started !== undefined && started !== reports.get(node.group)?.startedAt) {
      wrong.push(
        `the coordinator reaches another server at ${name} than this program at ${label(situation, node)}: they were not started at the same moment`,
      );
    }
    if (row === undefined) wrong.push(`the coordinator does not know ${name}`);
    else if (!row.isactive) wrong.push(`${name} is disabled in the coordinator's pg_dist_node`);
  }
  return wrong;
}

function metadataFaults(
  node: NodeSpec,
  name: string,
  report: VerificationReport,
  coordinator: VerificationReport,
): readonly string[] {
  const wrong: string[] = [];
  const rows = (from: VerificationReport) =>
    JSON.stringify(
      from.metadata.nodes.map((row) => [row.nodeid, row.groupid, row.nodename, row.nodeport, row.isactive]),
    );
  if (report.metadata.localGroup !== node.group) {
    wrong.push(`${name} takes itself for group ${report.metadata.localGroup}, not ${node.group}`);
  }
  if (rows(report) !== rows(coordinator)) wrong.push(`${name} knows other nodes (pg_dist_node) than the coordinator`);
  if (report.metadata.tables !== coordinator.metadata.tables) {
    wrong.push(`${name} knows other distributed tables than the coordinator`);
  }
  // run_command_on_all_nodes() leaves out nodes that are disabled, and secondaries (Citus documentation).
  for (const row of coordinator.metadata.nodes.filter((row) => row.isactive && row.noderole === 'primary')) {
    const target = `${row.nodename}:${row.nodeport}`;
    const link = report.links.find((candidate) => candidate.nodeid === row.nodeid);
    if (link === undefined) wrong.push(`${name} did not reach ${target}`);
    else if (!link.success) wrong.push(`${name} cannot reach ${target}: ${link.result.trim()}`);
    else if (!isProof(link)) wrong.push(`${name} reaches a standby at ${target}, which takes no writes`);
  }
  return wrong;
}

function isProof({ success, result }: Link): boolean {
  return success && result.split(' ')[0] !== 'on';
}

/** As the coordinator asks for it; undefined without an answer, or from another node. */
function startOf(link: Link | undefined): string | undefined {
  return link?.success === true ? link.result.split(' ')[1] : undefined;
}

/** Number of links between nodes of the database that the reports proved. */
export function provedLinks(situation: Situation, reports: ReadonlyMap<number, VerificationReport>): number {
  return [...reports.values()].reduce((sum, report) => sum + provedLinksFrom(situation, report), 0);
}

/** Those of one node; nodes no longer declared do not count. */
export function provedLinksFrom(situation: Situation, report: VerificationReport): number {
  const declared = databaseNodes(situation.topology).map((node) => registration(node, report.metadata)?.nodeid);
  return report.links.filter((link) => isProof(link) && declared.includes(link.nodeid)).length;
}
