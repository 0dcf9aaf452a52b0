import type { StepNumber } from '../objects/change.ts';

export interface StepHeading {
  /** As the log counts: without Citus there are fewer steps, and no gaps. */
  readonly number: number;
  readonly title: string;
}

/** What the log and the plan call a step. */
export function stepHeading(step: StepNumber, database: string, citus: boolean): StepHeading {
  return citus ? { number: step, title: clusterTitles(database)[step] } : plainHeadings(database)[step];
}

function clusterTitles(database: string): Readonly<Record<StepNumber, string>> {
  return {
    1: `Creating database '${database}' on worker nodes first...`,
    2: `Creating database '${database}' on coordinator...`,
    3: 'Enabling Citus extension on coordinator...',
    4: 'Enabling additional extensions on coordinator...',
    5: 'Configuring SSL certificate authentication (pg_dist_authinfo)...',
    6: 'Adding worker nodes to Citus metadata...',
    7: 'Running custom initialization SQL...',
    8: 'Setting database parameters...',
  };
}

/** One server without workers: steps 3 and 5 have nothing to do there. */
function plainHeadings(database: string): Readonly<Record<StepNumber, StepHeading>> {
  const extensions = { number: 3, title: 'Enabling extensions...' };
  const schemas = { number: 4, title: 'Creating schemas and setting default privileges...' };
  return {
    1: { number: 1, title: 'Creating roles...' },
    2: { number: 2, title: `Creating database '${database}'...` },
    3: extensions,
    4: extensions,
    5: schemas,
    6: schemas,
    7: { number: 5, title: 'Running custom initialization SQL...' },
    8: { number: 6, title: 'Setting database parameters...' },
  };
}
