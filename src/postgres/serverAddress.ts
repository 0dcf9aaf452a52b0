/** Where a server is reached. */
export interface ServerAddress {
  /** Tells the servers of one run apart; 0 is the one that the run begins with. */
  readonly group: number;
  readonly host: string;
  readonly port: number;
}
