import type { ReportedFinding } from '../reconcile/finding.ts';
import { Failure } from '../report/errors.ts';
import type { DatabaseSpec } from '../spec/types.ts';

export interface VerifiedDatabase {
  readonly database: string;
  readonly ready: boolean;
  /** The role without superuser rights as far as which this was proved. */
  readonly provedAs?: string;
  readonly nodes: number;
  readonly links: number;
  readonly findings: readonly ReportedFinding[];
  readonly problem?: string;
}

/** What `verify --output json` says, also of databases that are not ready. */
export class VerifyReport {
  readonly #databases: readonly DatabaseSpec[];
  readonly #results = new Map<DatabaseSpec, VerifiedDatabase>();

  constructor(databases: readonly DatabaseSpec[]) {
    this.#databases = databases;
  }

  /** Verifies one database. Where that fails, the report has what was found by then, and the reason. */
  async of(
    database: DatabaseSpec,
    body: (onFindings: (findings: readonly ReportedFinding[]) => void) => Promise<VerifiedDatabase>,
  ): Promise<void> {
    let findings: readonly ReportedFinding[] = [];
    try {
      const result = await body((found) => {
        findings = found;
      });
      this.#results.set(database, result);
    } catch (error) {
      if (error instanceof Failure) {
        const nothing = { database: database.name, ready: false, nodes: 0, links: 0 };
        this.#results.set(database, { ...nothing, findings, problem: error.message });
      }
      throw error;
    }
  }

  json(): string {
    const databases = this.#databases.flatMap((database) => this.#results.get(database) ?? []);
    // Those that a signal left out are not ready either.
    const ready = databases.length === this.#databases.length && databases.every((result) => result.ready);
    return `${JSON.stringify({ ready, databases }, undefined, 2)}\n`;
  }
}
