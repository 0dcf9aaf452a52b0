import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Change } from './change.ts';
import type { Fragment } from './observe.ts';

/**
 * A kind of object in one file: what is observed, what differs, and the SQL. Its line in the order of work
 * (reconcile/order.ts) is all that it takes beside its field in the schema of the spec. Kinds that are compared with more
 * than their declaration (passwords, versions, what the coordinator has) are functions that reconcile/works/ calls.
 */
export interface Kind<Observed> {
  /** Names the observation; unique among the fragments of its scope. */
  readonly key: string;
  /** server: of every server, whether or not it has the database. database: of what the database holds. */
  readonly scope: 'server' | 'database';
  /** Condition under which its tables exist (observe.ts). */
  readonly when?: string;
  /** SQL of type jsonb (observe.ts). undefined: nobody asks. */
  readonly observe: (database: DatabaseSpec) => string | undefined;
  /** undefined: there is no database yet. */
  readonly diff: (database: DatabaseSpec, observed: Observed | undefined, node: NodeSpec) => readonly Change[];
}

export type AnyKind = Pick<Kind<unknown>, 'key' | 'scope' | 'when' | 'observe'>;

export function fragmentsOf(
  kinds: readonly AnyKind[],
  scope: Kind<unknown>['scope'],
  database: DatabaseSpec,
): readonly Fragment[] {
  return kinds
    .filter((kind) => kind.scope === scope)
    .flatMap(({ key, when, observe }): readonly Fragment[] => {
      const value = observe(database);
      return value === undefined ? [] : [{ key, value, ...(when === undefined ? {} : { when }) }];
    });
}

/** The shape is held by the kind's own SQL, as that of every observation. */
export function observedOf<Observed>({ key }: Kind<Observed>, observation: object): Observed | undefined {
  return (observation as Readonly<Record<string, Observed | undefined>>)[key];
}
