import type { Kubernetes } from '../kubernetes/client.ts';
import { Failure } from '../report/errors.ts';

/** After this many attempts a start takes unusually long. */
const FIRST_ATTEMPT = 3;
/** With the usual pause of 5 s, once a minute. */
const EVERY = 12;

/** Kubernetes as a pod sees it; undefined elsewhere. Loaded here only: Node's HTTPS client takes 20 ms to load. */
async function ownCluster(signal: AbortSignal): Promise<Kubernetes | undefined> {
  return (await import('../kubernetes/client.ts')).inCluster(signal);
}

/** Reports what Kubernetes knows about the nodes that a run waits for, whenever that changes. */
export class AbsentPods {
  readonly #hosts: readonly string[];
  readonly #signal: AbortSignal;
  readonly #tell: (line: string) => void;
  readonly #connect: (signal: AbortSignal) => Promise<Kubernetes | undefined>;
  readonly #told = new Set<string>();
  #kubernetes: Promise<Kubernetes | undefined> | undefined;
  #latest: readonly string[] = [];

  constructor(hosts: readonly string[], signal: AbortSignal, tell: (line: string) => void, connect = ownCluster) {
    this.#hosts = hosts;
    this.#signal = signal;
    this.#tell = tell;
    this.#connect = connect;
  }

  /** Once for each attempt of the node that is called first; never fails. */
  async look(attempt: number): Promise<void> {
    if (attempt < FIRST_ATTEMPT || (attempt - FIRST_ATTEMPT) % EVERY !== 0) return;
    try {
      this.#kubernetes ??= this.#connect(this.#signal);
      const kubernetes = await this.#kubernetes;
      if (kubernetes === undefined) return;
      const { podReasons } = await import('../kubernetes/podReasons.ts');
      this.#latest = await podReasons(kubernetes, this.#hosts);
    } catch {
      return;
    }
    for (const reason of this.#latest) {
      if (!this.#told.has(reason)) this.#tell(`Kubernetes: ${reason}`);
      this.#told.add(reason);
    }
  }

  /** The failure with what Kubernetes knew last, for those who see nothing but the last message. */
  explained(error: unknown): unknown {
    if (!(error instanceof Failure) || this.#latest.length === 0) return error;
    const cause = [error.details.cause, ...this.#latest.map((reason) => `Kubernetes: ${reason}`)].join('\n');
    return new Failure({ ...error.details, cause }, { cause: error });
  }
}
