import { databaseNodes } from '../cluster/topology.ts';
import { byGroup } from '../concurrency/parallel.ts';
import type { Change, Item, StepNumber } from '../objects/change.ts';
import type { Session } from '../postgres/connection.ts';
import type { StepLog } from '../report/stepLog.ts';
import type { NodeSpec } from '../spec/types.ts';
import { executeInParallel, executeItems, type NodeWork } from './lanes.ts';
import type { AcceptedInitSql } from './look.ts';
import { observeDatabaseOf, observeParametersOf } from './observe.ts';
import { type Run, withOneLook } from './run.ts';
import { type Situation, withInside } from './situation.ts';
import { stepHeading } from './stepTitles.ts';
import { sentence } from './userSteps.ts';

export interface ApplyTools {
  readonly run: Run;
  readonly log: StepLog;
  readonly initSql: AcceptedInitSql | { readonly kind: 'none' };
  /** A session with the role's and the database's own settings, for initSQL. */
  readonly openInitSqlSession: () => Promise<Session>;
  /** One registration at a time in the whole cluster: Citus updates the roles of workers while it adds a node. */
  readonly withRegistrationLock: <Result>(body: () => Promise<Result>) => Promise<Result>;
  /** What the servers say by now: another run may have made roles of ours meanwhile. */
  readonly lookAgainAtServers: (situation: Situation) => Promise<Situation>;
}

/** How far the work on one database has come: what is known by now, and how many changes were made. */
export class Progress {
  readonly tools: ApplyTools;
  readonly citus: boolean;
  situation: Situation;
  changes = 0;
  #run: Run;

  constructor(situation: Situation, tools: ApplyTools) {
    this.tools = tools;
    this.citus = situation.spec.cluster.citus;
    this.situation = situation;
    this.#run = withOneLook(tools.run);
  }

  /** Looks at the lock once between one begin() and the next. */
  get run(): Run {
    return this.#run;
  }

  begin(step: StepNumber): StepLog {
    this.#run = withOneLook(this.tools.run);
    return this.goOn(step, this.tools.log);
  }

  /** A step that may be under way at the same time as the one that began before: the same look at the lock counts. */
  goOn(step: StepNumber, to: StepLog): StepLog {
    const { number, title } = stepHeading(step, this.situation.database.name, this.citus);
    to.step(number, title);
    return to.about({ step: number });
  }

  async execute(items: readonly Item[], to: StepLog): Promise<void> {
    const made = await executeItems(this.#run, items, to, 1);
    // Only now: other nodes are at work meanwhile, and count as well.
    this.changes += made;
  }

  async executeInParallel(works: readonly NodeWork[], to: StepLog): Promise<void> {
    const made = await executeInParallel(this.#run, works, to);
    this.changes += made;
  }

  /** The same kind of work on several nodes, told in one line for each thing that is done. Returns the nodes it was due on. */
  async onNodes(
    nodes: readonly NodeSpec[],
    itemsOf: (node: NodeSpec) => readonly Change[],
    to: StepLog,
    namesNodes = this.citus,
  ): Promise<readonly NodeSpec[]> {
    const works = nodes.map((node) => ({ node, items: itemsOf(node) })).filter(({ items }) => items.length > 0);
    for (const summary of new Set(works.flatMap(({ items }) => items.map((item) => item.summary)))) {
      const where = works.filter(({ items }) => items.some((item) => item.summary === summary));
      const names = where.map(({ node }) => this.#run.label(node)).join(', ');
      to.line(`${sentence(summary)}${namesNodes ? ` on ${names}` : ''}`, 1);
    }
    if (works.length === 0) return [];
    await this.executeInParallel(
      works.map(({ node, items }) => this.nodeWork(node, items, '')),
      to,
    );
    return works.map(({ node }) => node);
  }

  nodeWork(node: NodeSpec, items: readonly Item[], quiet: string): NodeWork {
    return { node, run: async (lane) => ({ changes: await executeItems(this.#run, items, lane, 2), quiet }) };
  }

  /** What the database on a node holds, where that was not known yet. */
  async look(node: NodeSpec): Promise<void> {
    if (this.situation.inside.has(node.group)) return;
    const observation = await observeDatabaseOf(this.#run, node, this.situation.database);
    // Only now: other nodes are looked at meanwhile.
    this.situation = withInside(this.situation, node, observation);
  }

  async lookAgain(nodes: readonly NodeSpec[]): Promise<void> {
    const observed = await byGroup(nodes, (node) => observeDatabaseOf(this.#run, node, this.situation.database));
    this.situation = { ...this.situation, inside: new Map([...this.situation.inside, ...observed]) };
  }

  /** Settings of the database on every node of it. */
  async lookAgainAtParameters(): Promise<void> {
    const { database } = this.situation;
    const observed = await byGroup(this.nodes, (node) => observeParametersOf(this.#run, node, database));
    const servers = [...this.situation.servers].map(
      ([group, known]) => [group, { ...known, ...observed.get(group) }] as const,
    );
    this.situation = { ...this.situation, servers: new Map(servers) };
  }

  async lookAgainAtServers(): Promise<void> {
    this.situation = await this.tools.lookAgainAtServers(this.situation);
  }

  /** Every node of the database, the coordinator first. */
  get nodes(): readonly NodeSpec[] {
    return databaseNodes(this.situation.topology);
  }
}
