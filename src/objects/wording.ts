/**
 * How the log begins the line of a change that is under way. The documents fix the line of `set`.
 */
const UNDER_WAY = {
  align: 'Aligning',
  alter: 'Altering',
  change: 'Changing',
  copy: 'Copying',
  create: 'Creating',
  enter: 'Entering',
  finish: 'Finishing',
  forget: 'Forgetting',
  give: 'Giving',
  grant: 'Granting',
  make: 'Making',
  open: 'Opening',
  record: 'Recording',
  register: 'Registering',
  remember: 'Remembering',
  replace: 'Replacing',
  reset: 'Resetting',
  set: 'Set',
  sync: 'Syncing',
  take: 'Taking',
  update: 'Updating',
  write: 'Writing',
} as const;

export type Verb = keyof typeof UNDER_WAY;

/** A change in words. */
export interface Wording {
  /** For `plan`: an imperative without a full stop, without the node. */
  readonly summary: string;
  /** For the log of `apply`: the same as the beginning of a line about work under way. */
  readonly underWay: string;
}

export function wording(verb: Verb, rest: string): Wording {
  return { summary: `${verb} ${rest}`, underWay: `${UNDER_WAY[verb]} ${rest}` };
}
