/**
 * What the statements of one run may wait for locks altogether. Each has its own deadline as well, which whoever lets go in time and
 * takes another lock never reaches. Only waits that were looked at count (statementLimits.ts).
 */
export class LockBudget {
  readonly milliseconds: number;
  #spent = 0;

  constructor(milliseconds: number) {
    this.milliseconds = milliseconds;
  }

  /** Returns whether anything is left. */
  spend(milliseconds: number): boolean {
    this.#spent += milliseconds;
    return this.#spent < this.milliseconds;
  }
}

/** Not worth another attempt: what is used up stays so. */
export class LockBudgetSpent extends Error {}
