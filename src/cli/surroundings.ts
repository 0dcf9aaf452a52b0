import type { Writable } from 'node:stream';

/** The program's surroundings: a terminal, or a test. */
export interface Surroundings {
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Somebody is at the terminal. */
  readonly interactive: boolean;
  /** Standard output is a terminal on which lines can be written over. */
  readonly terminal?: boolean;
  /** Standard output shows colours; `--no-color` of a command switches them off. */
  readonly color?: boolean;
  /** How this program is called here: what a user types. */
  readonly invokedAs: string;
  readonly onSignal: (handler: (signal: 'SIGINT' | 'SIGTERM') => void) => void;
}
