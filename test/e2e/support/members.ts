import type { Release } from './release.ts';

/** Patroni's members as this part looks at them: pods of the release, whoever leads. */
export interface Members {
  /** `citusdemo-0-1`: replica or not. */
  names(): Promise<readonly string[]>;
  /** One statement on one member. */
  on(member: string, statement: string): Promise<string>;
  /** `name=value` of each parameter, sorted, for each member. */
  show(...parameters: readonly string[]): Promise<Readonly<Record<string, string>>>;
  /** What changes when a pod is made anew or its container started again. */
  pods(): Promise<string>;
  /** When each member's server was started. */
  serverStarts(): Promise<string>;
  patronictl(...args: readonly string[]): Promise<string>;
  /** A group's configuration in Patroni's store. */
  config(group: number): Promise<string>;
}

export function createMembers(release: Release): Members {
  const names = async () =>
    (await release.kubectl('get', 'pods', '-l', 'application=patroni', '-o', 'jsonpath={.items[*].metadata.name}'))
      .trim()
      .split(' ')
      .toSorted();
  const on = async (member: string, statement: string) => {
    const psql = ['psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres', '-c', statement];
    return (await release.kubectl('exec', member, '-c', 'postgresql', '--', ...psql)).trimEnd();
  };
  const patronictl = (...args: readonly string[]) =>
    release.kubectl('exec', 'citusdemo-0-0', '-c', 'postgresql', '--', 'patronictl', ...args);
  const each = async <T>(ask: (member: string) => Promise<T>) => {
    const members = await names();
    return await Promise.all(members.map(async (member): Promise<[string, T]> => [member, await ask(member)]));
  };

  return {
    names,
    on,
    patronictl,
    async show(...parameters) {
      const list = parameters.map((name) => `'${name}'`).join(', ');
      const statement = `SELECT string_agg(n || '=' || current_setting(n), ' ' ORDER BY n) FROM unnest(ARRAY[${list}]) n`;
      return Object.fromEntries(await each((member) => on(member, statement)));
    },
    pods: () =>
      release.kubectl(
        ...['get', 'pods', '-l', 'application=patroni', '-o'],
        'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.status.startTime} {.status.containerStatuses[0].restartCount}{"\\n"}{end}',
      ),
    async serverStarts() {
      return (await each((member) => on(member, 'SELECT pg_postmaster_start_time()'))).join('\n');
    },
    config: (group) => patronictl('show-config', 'citusdemo', '--group', String(group)),
  };
}
