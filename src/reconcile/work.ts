import type { Item } from '../objects/change.ts';
import type { AnyKind } from '../objects/kind.ts';
import type { NodeSpec } from '../spec/types.ts';

/**
 * The order of work as data. A step is a heading of the log and its pieces of work; each piece says on which nodes, what
 * there is to do there, under which lock, and what the log says. `plan` prints an order (planDatabase.ts), `apply` and
 * `drop` carry one out (carryOut.ts).
 */

export interface Step<State> {
  /** undefined: the pieces have no heading (drop). */
  readonly heading?: {
    readonly number: number;
    /** Of the log: it is under way. */
    readonly title: (state: State) => string;
    /** Of `plan`: it is still to be done. */
    readonly planned: (state: State) => string;
  };
  /**
   * The step continues the one before: one check of the lock serves both. Where it returns true, the step is carried out
   * at the same time as the last piece of the step before.
   */
  readonly alongside?: (state: State) => boolean;
  readonly works: readonly Work<State>[];
}

export interface Work<State> {
  /** For reports: the name of this piece of work, unique in its order. */
  readonly name: string;
  /** The nodes of one list work at the same time, one list after the other. */
  readonly nodes: (state: State) => readonly (readonly NodeSpec[])[];
  /** What there is to do on one node, from what is known of it. Pure. */
  readonly items: (state: State, node: NodeSpec) => readonly Item[];
  /**
   * lines: the items' own lines. lanes: each node's lines together, in the order of the nodes; neighbours of this kind
   * are carried out by each node in one go. once: one line for each kind of change, with the nodes it is due on.
   */
  readonly log: 'lines' | 'lanes' | 'once';
  /** Only one run in the whole cluster at a time. Taken only if there is something to do; neighbours share it. */
  readonly lock?: 'registration';
  /** The kind of object whose observation the items are computed from, where one file describes it. */
  readonly kind?: AnyKind;
  /** What to observe again before the items are computed: what changed meanwhile, or was not known at all. */
  readonly observe?: (state: State, at: { readonly changed: boolean; readonly list: number }) => Observable | undefined;
  /** What the log says instead of notes if there is nothing to do. For lanes: in a few words, for one node. */
  readonly nothing?: (state: State, stepChanged: boolean) => string | undefined;
  /** Lines before and after a piece that has something to do; for lanes, of each node. */
  readonly before?: (state: State, nodes: readonly string[]) => readonly Line[];
  readonly after?: (state: State, nodes: readonly string[]) => readonly Line[];
  /** With `once`: false leaves the lines for each kind of change out, `withoutNodes` leaves out where. */
  readonly summaries?: false | 'withoutNodes';
}

/** `contents`: of the database on a node, if unknown. `contentsAgain`: in any case. */
export type Observable = 'servers' | 'contents' | 'contentsAgain' | 'parameters' | 'tableOwners' | 'managedRoles';

export interface Line {
  readonly text: string;
  readonly depth: number;
}

export function line(text: string, depth = 1): Line {
  return { text, depth };
}

/** The kinds that the pieces of an order name: every run observes them. */
export function kindsOf<State>(order: readonly Step<State>[]): readonly AnyKind[] {
  const kinds = order.flatMap((step) => step.works.flatMap(({ kind }) => kind ?? []));
  return [...new Set(kinds)];
}

/** Pieces of work of one step that are carried out in one go, which also fixes the order in which a plan lists them. */
export interface Stage<State> {
  readonly step: Step<State>;
  /** The first of its step. */
  readonly first: boolean;
  readonly works: readonly Work<State>[];
}

/** The stages of an order. */
export function stagesOf<State>(order: readonly Step<State>[]): readonly Stage<State>[] {
  return order.flatMap((step) => {
    const groups: Work<State>[][] = [];
    for (const work of step.works) {
      const before = groups.at(-1)?.at(-1);
      if (before !== undefined && belongTogether(before, work)) groups.at(-1)?.push(work);
      else groups.push([work]);
    }
    return groups.map((works, index) => ({ step, first: index === 0, works }));
  });
}

function belongTogether<State>(left: Work<State>, right: Work<State>): boolean {
  if (left.log === 'lanes' || right.log === 'lanes') return left.log === right.log;
  return left.lock !== undefined && left.lock === right.lock;
}

/** The nodes of a stage, each with its pieces of work in their order. */
export function nodesOfStage<State>(
  stage: Stage<State>,
  state: State,
): readonly { readonly node: NodeSpec; readonly works: readonly Work<State>[] }[] {
  const byGroup = new Map<number, { node: NodeSpec; works: Work<State>[] }>();
  for (const work of stage.works) {
    for (const node of work.nodes(state).flat()) {
      const known = byGroup.get(node.group) ?? { node, works: [] };
      known.works.push(work);
      byGroup.set(node.group, known);
    }
  }
  return [...byGroup.values()];
}
