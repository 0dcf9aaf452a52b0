import type { Problem } from '../objects/change.ts';
import { OWN_SCHEMAS } from '../objects/extensionSchema.ts';
import type { NodeSpec } from '../spec/types.ts';
import { placedExtensions } from './placedExtensions.ts';
import { inside, label, type Situation, server } from './situation.ts';

/**
 * pg_partman where others may create objects, or have made functions, and its background worker at work there as superuser:
 * what they put there runs with those rights at its next round.
 */
export function partmanProblems(situation: Situation, node: NodeSpec): readonly Problem[] {
  if (server(situation, node).partmanWorker !== true) return [];
  const { extensions, openExtensions = [] } = inside(situation, node);
  const open = openExtensions
    .filter(({ name }) => OWN_SCHEMAS.has(name))
    .map(({ name, schema, creators, placed }) =>
      creators.length > 0
        ? `extension ${name} is in schema ${schema}, in which ${creators.join(', ')} may create objects`
        : `extension ${name} is in schema ${schema}, in which others have made ${placed.slice(0, 3).join(', ')}`,
    );
  const declared = placedExtensions(situation, situation.database.extensions)
    .filter(({ name, alone }) => alone === false && !extensions.some((there) => there.name === name))
    .map(
      ({ name, schema }) => `extension ${name} is declared for schema ${schema}, in which others may create objects`,
    );
  return [...open, ...declared].map((what) => ({
    kind: 'refused',
    what: `pg_partman's background worker runs in database '${situation.database.name}' as superuser: ${what}`,
    node: label(situation, node),
    next: `Set pg_partman_bgw.role to the role that owns the partitioned tables (in the chart, patroni.postgresql.parameters), or take the database out of pg_partman_bgw.dbname, and reload the server`,
  }));
}
