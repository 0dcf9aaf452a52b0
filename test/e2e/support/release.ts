import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { findHelm, type HelmMajor } from '../../support/helm.ts';
import { attempt, type CommandOptions, eventually, type Outcome, run } from './command.ts';

export const repository = fileURLToPath(new URL('../../..', import.meta.url));

export interface ReleaseOptions {
  /** The program. Default: the one that E2E_HELM asks for. */
  readonly helm?: string;
  /** A folder or a packaged chart. Default: E2E_CHART, else the repository's. */
  readonly chart?: string;
}

export interface Release {
  readonly name: string;
  readonly namespace: string;
  /** A folder of this machine that goes away with the release. */
  readonly files: string;
  readonly helmPath: string;
  kubectl(...args: string[]): Promise<string>;
  /** helm with the chart where it belongs; whatever the exit code. `values` becomes a file for -f. */
  helm(verb: 'install' | 'upgrade', options: readonly string[], values?: object): Promise<Outcome>;
  /** Any other helm command on the release, which has to succeed. */
  helmCommand(...args: string[]): Promise<string>;
  /** One statement on a group's leader, without alignment or headers; fields are separated by |. */
  sql(group: number, database: string, statement: string): Promise<string>;
  leader(group: number): Promise<string>;
  /** The log of the newest pod of a database's Job. */
  jobLog(database: string): Promise<string>;
  /** One of the repository's scripts, with the release's namespace. */
  script(name: string, args: readonly string[], options?: CommandOptions): Promise<Outcome>;
  /** Waits until each group has its pods ready and one leader. */
  ready(replicas: Readonly<Record<number, number>>, timeoutMs?: number): Promise<void>;
  /** Removes the namespace with all that is in it, unless E2E_KEEP is set. */
  destroy(): Promise<void>;
}

/**
 * A namespace of its own, with the pod security level `restricted`, in the cluster that KUBECONFIG names. E2E_HELM=3 or 4
 * chooses Helm's major version; E2E_VALUES names a values file for every installation, for instance with image names.
 */
export async function createRelease(
  purpose: string,
  {
    helm = findHelm(helmMajor()),
    chart = process.env['E2E_CHART'] ?? path.join(repository, 'chart'),
  }: ReleaseOptions = {},
): Promise<Release> {
  const name = 'citusdemo';
  const namespace = `e2e-${purpose}-${randomBytes(3).toString('hex')}`;
  const files = mkdtempSync(path.join(tmpdir(), 'citus-databases-e2e-'));
  await run('kubectl', ['create', 'namespace', namespace]);
  await run('kubectl', ['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted']);

  const kubectl = (...args: string[]) => run('kubectl', ['--namespace', namespace, ...args]);
  const leader = async (group: number) =>
    (
      await kubectl(
        'get',
        'pods',
        '-l',
        `citus-group=${group},role=primary`,
        '-o',
        'jsonpath={.items[*].metadata.name}',
      )
    ).trim();
  let valuesFiles = 0;

  return {
    name,
    namespace,
    files,
    helmPath: helm,
    kubectl,
    leader,
    helm(verb, options, values) {
      const { E2E_VALUES } = process.env;
      const args = [verb, name, chart, '--namespace', namespace, '--timeout', '10m', ...options];
      if (values !== undefined) {
        const file = path.join(files, `values-${++valuesFiles}.yaml`);
        writeFileSync(file, stringify(values));
        args.push('-f', file);
      }
      if (E2E_VALUES !== undefined) args.push('-f', E2E_VALUES);
      return attempt(helm, args, { timeoutMs: 620_000 });
    },
    helmCommand: (...args) => run(helm, ['--namespace', namespace, ...args], { timeoutMs: 300_000 }),
    async sql(group, database, statement) {
      const pod = await leader(group);
      if (pod === '' || pod.includes(' ')) throw new Error(`Group ${group} has no single leader, but '${pod}'`);
      const psql = ['psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-d', database, '-c', statement];
      return (await kubectl('exec', pod, '-c', 'postgresql', '--', ...psql)).trimEnd();
    },
    async jobLog(database) {
      const pods = await kubectl(
        ...['get', 'pods', '-l', 'job-type=database-creation', '--sort-by=.metadata.creationTimestamp', '-o'],
        `jsonpath={range .items[?(@.metadata.annotations.citus-databases/database=="${database}")]}{.metadata.name} {end}`,
      );
      const newest = pods.trim().split(' ').at(-1);
      if (newest === undefined || newest === '') throw new Error(`No Job of database ${database} has a pod`);
      return await kubectl('logs', newest);
    },
    script: (script, args, options) =>
      attempt(path.join(repository, 'scripts', script), ['-n', namespace, ...args], {
        timeoutMs: 300_000,
        ...options,
        env: { ...options?.env, PATH: `${path.dirname(helm)}${path.delimiter}${process.env['PATH'] ?? ''}` },
      }),
    async ready(replicas, timeoutMs = 180_000) {
      for (const [group, count] of Object.entries(replicas)) {
        await eventually(`group ${group} has ${count} pods ready and a leader`, timeoutMs, async () => {
          const states = await kubectl(
            ...['get', 'pods', '-l', `application=patroni,citus-group=${group}`, '-o'],
            'jsonpath={range .items[*]}{.metadata.deletionTimestamp}{.status.containerStatuses[?(@.name=="postgresql")].ready} {end}',
          );
          const well = states.trim() === Array(count).fill('true').join(' ');
          return well && /^\S+$/.test(await leader(Number(group))) ? true : undefined;
        });
      }
    },
    async destroy() {
      rmSync(files, { recursive: true, force: true });
      if (process.env['E2E_KEEP'] === undefined) await run('kubectl', ['delete', 'namespace', namespace, '--wait']);
    },
  };
}

function helmMajor(): HelmMajor | undefined {
  const { E2E_HELM } = process.env;
  if (E2E_HELM === undefined || E2E_HELM === '') return undefined;
  if (E2E_HELM === '3') return 3;
  if (E2E_HELM === '4') return 4;
  throw new Error(`E2E_HELM is 3 or 4, not ${E2E_HELM}`);
}
