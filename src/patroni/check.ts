import { formatBytes } from '../spec/memory.ts';
import { parseNumber } from './units.ts';
import { type KnownSettings, nameProblem, valueProblem } from './values.ts';

/** What is known about one group when its values are checked; what a server tells may be missing. */
export interface CheckInput {
  /** Names in lower case. */
  readonly wanted: Readonly<Record<string, string>>;
  readonly memoryLimit: number | undefined;
  readonly citus: boolean;
  /** Databases that Citus takes a background worker for: declared ones, Patroni's own, and those that run. */
  readonly databases: ReadonlySet<string>;
  readonly known: KnownSettings | undefined;
  readonly missingLibraries: readonly string[];
  readonly refused: ReadonlyMap<string, string>;
}

/** Everything that is wrong with a group's values, each in a sentence; found before anything is sent. */
export function checkValues(input: CheckInput): readonly string[] {
  const own = Object.entries(input.wanted).flatMap(([name, value]) => {
    const problem = problemOf(name, value, input);
    return problem === undefined ? [] : [`${name} ${problem}`];
  });
  return [...own, ...memoryProblems(input), ...workerProblems(input), ...libraryProblems(input)];
}

function problemOf(name: string, value: string, { known, refused }: CheckInput): string | undefined {
  const minimum = PATRONIS_MINIMUM.get(name);
  if (minimum !== undefined && Number(value) < minimum) {
    return `takes ${minimum} at least under Patroni, which would put its own default in place of ${value}`;
  }
  if (known === undefined) return undefined;
  const unknown = nameProblem(name, known);
  if (unknown !== undefined) return unknown;
  const row = known.get(name);
  const problem = row === undefined ? undefined : valueProblem(row, value);
  if (problem !== undefined) return problem;
  const words = refused.get(name);
  return words === undefined ? undefined : `does not take '${value}': ${words}`;
}

/**
 * Below these Patroni silently falls back to its default (patroni/postgresql/config.py, CMDLINE_OPTIONS).
 */
const PATRONIS_MINIMUM: ReadonlyMap<string, number> = new Map([
  ['max_connections', 25],
  ['max_wal_senders', 3],
  ['max_locks_per_transaction', 32],
  ['max_replication_slots', 4],
  ['max_worker_processes', 2],
]);

/** The unit of shared_buffers unless the server was built with another block size. */
const BLOCK = 8192;

function memoryProblems({ wanted, memoryLimit }: CheckInput): readonly string[] {
  const value = wanted['shared_buffers'];
  if (value === undefined || memoryLimit === undefined) return [];
  const parsed = parseNumber(value, '8kB', 'integer');
  if (!parsed.ok || parsed.value * BLOCK < memoryLimit) return [];
  return [
    `shared_buffers ${value} does not fit into the container, whose memory limit is ${formatBytes(memoryLimit)}: the server would not start, or be killed`,
  ];
}

/** PostgreSQL's own lasting background worker: the logical replication launcher. */
const OWN_WORKERS = 1;

function workerProblems({ wanted, citus, databases }: CheckInput): readonly string[] {
  const value = wanted['max_worker_processes'];
  const needed = databases.size + OWN_WORKERS;
  if (!citus || value === undefined || !(Number(value) < needed)) return [];
  return [
    `max_worker_processes ${value} is too small for ${databases.size} databases: Citus takes one for each and PostgreSQL ${OWN_WORKERS} for itself, ${needed} at least`,
  ];
}

function libraryProblems({ missingLibraries }: CheckInput): readonly string[] {
  return missingLibraries.map(
    (library) =>
      `shared_preload_libraries names ${library}, of which the server has no file: with it the server would not start`,
  );
}
