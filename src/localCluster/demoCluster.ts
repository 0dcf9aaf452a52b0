/** One node of the demo's cluster, as the spec names it. */
export interface DemoNode {
  readonly group: number;
  readonly host: string;
  readonly port: number;
  /** What the other nodes call it, where that differs. */
  readonly nodeName?: string;
  readonly nodePort?: number;
}

/** What the demo runs on. */
export interface DemoCluster {
  /** One line: what runs here. */
  readonly description: string;
  /** The coordinator (group 0) first, then the workers in the order of their groups. */
  readonly nodes: readonly DemoNode[];
  /** Stops all servers and removes everything. */
  readonly stop: () => Promise<void>;
}
