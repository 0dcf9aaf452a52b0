import type { FailureDetails } from '../report/errors.ts';
import { isNewer } from './citusExtension.ts';

/** What an image of the servers brings; undefined where it does not say. */
export interface ImageVersions {
  readonly postgres: number | undefined;
  /** default_version of its extension citus. */
  readonly citus: string | undefined;
}

export interface DatabaseVersion {
  readonly database: string;
  readonly citus: string;
}

/** From the extension's control file, and from what `postgres --version` prints. */
export function readImageVersions(control: string, version: string): ImageVersions {
  const postgres = /\(PostgreSQL\) (\d+)/.exec(version)?.[1];
  return {
    postgres: postgres === undefined ? undefined : Number(postgres),
    citus: /^default_version *= *'([^']*)'/m.exec(control)?.[1],
  };
}

/**
 * Why servers of this image could not work with the data that is there; undefined when nothing speaks against it.
 * A server reads data directories of its own major version alone (PostgreSQL, "Upgrading a PostgreSQL Cluster"), and Citus
 * refuses an extension that is newer than its library (Citus: citus.enable_version_checks).
 */
export function imageProblem(
  name: string,
  image: ImageVersions,
  server: { readonly postgres: number; readonly databases: readonly DatabaseVersion[] },
): FailureDetails | undefined {
  const { postgres, citus } = image;
  if (postgres !== undefined && postgres !== server.postgres) {
    return {
      kind: 'refused',
      what: `The data belongs to PostgreSQL ${server.postgres}, and ${name} has PostgreSQL ${postgres}`,
      cause: 'A server cannot read the data of another major version',
      next:
        `Use an image of PostgreSQL ${server.postgres}: a new major version is not a change of the image ` +
        '(docs/DATABASE_MANAGEMENT.md, "A new major version")',
    };
  }
  const newer = citus === undefined ? [] : server.databases.filter((database) => isNewer(database.citus, citus));
  const [first] = newer;
  if (first === undefined || citus === undefined) return undefined;
  return {
    kind: 'refused',
    what: `The databases have a newer citus than ${name}, which has ${citus}`,
    cause: newer.map((found) => `'${found.database}' has citus ${found.citus}`).join(', '),
    next: 'Use an image with that Citus or a newer one: an extension is never taken back to an older version',
  };
}
