import type { Problem } from './change.ts';
import type { ServerSettings } from './server.ts';

/** One node's versions, as its server says them. */
export interface NodeVersions {
  readonly label: string;
  readonly settings: Pick<ServerSettings, 'version' | 'citusVersion' | 'loadedCitus'>;
}

/**
 * Nodes of different versions refuse each other's work: Citus compares its library with the extension (Citus:
 * citus.enable_version_checks). During a rolling update that passes, so it is waited for.
 */
export function versionProblems(nodes: readonly NodeVersions[], citus: boolean): readonly Problem[] {
  const differing = (what: string, version: (node: NodeVersions) => string | null): readonly Problem[] => {
    const known = nodes.map((node) => ({ label: node.label, version: version(node) }));
    if (new Set(known.flatMap((node) => node.version ?? [])).size < 2) return [];
    const list = known.map((node) => `${node.label} ${node.version ?? 'none'}`).join(', ');
    return [
      {
        kind: 'failed',
        what: `The nodes have different versions of ${what}: ${list}`,
        next: 'Let the rolling update finish, or give all nodes the same image',
      },
    ];
  };
  return [
    ...differing('PostgreSQL', ({ settings }) => String(Math.floor(settings.version / 10_000))),
    ...(citus ? differing('Citus', ({ settings }) => settings.citusVersion) : []),
    ...(citus ? nodes.flatMap(restartProblem) : []),
  ];
}

/** Packages were replaced under a server that runs: it goes on with the library that it has loaded. */
function restartProblem({ label, settings }: NodeVersions): readonly Problem[] {
  const { citusVersion, loadedCitus } = settings;
  if (citusVersion === null || loadedCitus === null || release(citusVersion) === release(loadedCitus)) return [];
  return [
    {
      kind: 'failed',
      what: `The server has loaded Citus ${loadedCitus}, and ${citusVersion} is installed`,
      node: label,
      next: 'Restart the server: it loads the installed library then',
    },
  ];
}

/** 13.2 of 13.2-1 and of 13.2.2: what has to agree between the library and the extension. */
function release(version: string): string {
  return version.split(/[.-]/).slice(0, 2).join('.');
}

/** The newest major versions that this program was tried with (docs/VERSIONS.md). */
const TRIED = { citus: 14, postgres: 18 } as const;

/** A version that nobody tried is used all the same: what the program relies on seldom changes. */
export function untriedVersionWarnings(
  { version, citusVersion }: NodeVersions['settings'],
  citus: boolean,
): readonly string[] {
  const postgres = Math.floor(version / 10_000);
  const library = citus && citusVersion !== null ? Number(citusVersion.split('.')[0]) : 0;
  return [
    ...(postgres > TRIED.postgres
      ? [
          `PostgreSQL ${postgres} is newer than the newest that this program was tested with, ${TRIED.postgres}: it continues`,
        ]
      : []),
    ...(library > TRIED.citus
      ? [
          `Citus ${citusVersion} is newer than the newest that this program was tested with, ${TRIED.citus}: it continues`,
        ]
      : []),
  ];
}
