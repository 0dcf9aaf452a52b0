import { databaseContradictions } from './databaseContradictions.ts';
import { nodeContradictions } from './nodeContradictions.ts';
import { patroniContradictions } from './patroniContradictions.ts';
import type { Plain, PlainMapping } from './plain.ts';
import { type SpecProblem, show } from './problems.ts';
import { databaseEntries, isAbsent, isMapping, mappingOr } from './tolerant.ts';
import { userContradictions } from './userContradictions.ts';

/**
 * What fields of the spec say against each other. It reads the untrusted document, not the validated one, so that
 * these problems are reported together with those of single fields; whatever has the wrong shape is passed over here,
 * because schema.ts reports it.
 */
export function contradictions(document: Plain): readonly SpecProblem[] {
  if (!isMapping(document)) return [];
  const cluster = mappingOr(document['cluster']);
  return [
    ...bothNames(document),
    ...sslContradictions(document['ssl']),
    ...nodeContradictions(cluster),
    ...databaseContradictions(databaseEntries(document), cluster),
    ...patroniContradictions(document['patroni'], cluster),
    ...userContradictions(databaseEntries(document), cluster),
  ];
}

function bothNames(document: PlainMapping): readonly SpecProblem[] {
  if (isAbsent(document['databases']) || isAbsent(document['additionalDatabases'])) return [];
  return [{ path: ['additionalDatabases'], message: 'is another name for databases: give one of them, not both' }];
}

/** A mode that verifies must not weaken unnoticed; an explicit `enabled: false` is a choice (complete.ts). */
function sslContradictions(ssl: Plain | undefined): readonly SpecProblem[] {
  if (!isMapping(ssl) || !isAbsent(ssl['enabled'])) return [];
  const { mode } = ssl;
  if (mode !== 'verify-ca' && mode !== 'verify-full') return [];
  const message = `${show(mode)} needs the cluster's certificates: say ssl.enabled: true as well`;
  return [{ path: ['ssl', 'mode'], message }];
}
