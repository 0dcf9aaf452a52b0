import { findAllWithCitus, type PostgresInstall } from '../../src/localCluster/postgresInstall.ts';

/** A run of the integration suite, as a project of vitest; `install` is undefined where no PostgreSQL has Citus. */
export interface IntegrationProject {
  readonly name: string;
  readonly install: PostgresInstall | undefined;
}

/**
 * One for every PostgreSQL with Citus that is there or that the setting names; without any, one on the stand-in. The first
 * is called `integration`, the others by their versions; names of projects have to differ.
 */
export async function integrationProjects(): Promise<readonly IntegrationProject[]> {
  const [first, ...others] = await findAllWithCitus();
  const names = new Set<string>();
  return [
    { name: 'integration', install: first },
    ...others.map((install) => {
      const name = `integration-${install.version}-citus-${install.citusVersion ?? 'unknown'}`;
      const taken = [...names].filter((other) => other === name || other.startsWith(`${name}-again`)).length;
      const own = taken === 0 ? name : `${name}-again${taken}`;
      names.add(own);
      return { name: own, install };
    }),
  ];
}
