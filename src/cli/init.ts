import path from 'node:path';
import { type Command, Option } from 'commander';
import { unlessInterrupted } from '../concurrency/interrupt.ts';
import { textLog } from '../report/log.ts';
import { createStepLog } from '../report/stepLog.ts';
import { loadAccess } from '../secrets/credentials.ts';
import { parseSpec } from '../spec/parse.ts';
import type { NodeSpec } from '../spec/types.ts';
import { addHelp } from './help.ts';
import { port, REPORT_TIMEOUT_SECONDS } from './options.ts';
import type { Runner } from './runner.ts';

interface InitFlags {
  readonly spec: string;
  readonly host?: string;
  readonly port: number;
  readonly user: string;
  readonly passwordFile?: string;
  readonly clusterDatabase: string;
}

export function addInit(program: Command, runner: Runner): void {
  const command = program
    .command('init')
    .description('write a first spec, with the nodes of a cluster when one is named')
    .option('-f, --spec <file>', 'the file to write', 'spec.yaml')
    .option('--host <name>', 'the coordinator of a cluster, to be asked for its workers')
    .addOption(new Option('--port <number>', 'of the coordinator').argParser((text) => port(text)).default(5432))
    .option('--user <name>', 'the superuser to connect as', 'postgres')
    .option('--password-file <file>', "the file with that user's password")
    .option('--cluster-database <name>', 'a database in which Citus knows the workers', 'citus');
  command.action((options: InitFlags) =>
    runner.report(false, async (signal) => {
      const passwordFile = options.passwordFile === undefined ? undefined : path.resolve(options.passwordFile);
      const { host, user, spec: file } = options;
      const nodes =
        host === undefined ? undefined : await askCluster(runner, { ...options, host, passwordFile }, signal);
      const { init } = await import('../commands/init.ts');
      await init({ file, coordinator: nodes?.coordinator ?? EXAMPLE, workers: nodes?.workers, user, passwordFile });
      const found =
        nodes === undefined ? 'Replace the names of its nodes' : `It names ${1 + nodes.workers.length} nodes`;
      const { invokedAs } = runner.surroundings;
      return {
        text: `Wrote ${file}. ${found}, put the passwords into the files that it names, and:\n  ${invokedAs} validate -f ${file}\n  ${invokedAs} plan -f ${file}\n  ${invokedAs} apply -f ${file}\n`,
      };
    }),
  );
  addHelp(command, {
    examples: [
      ['init', 'spec.yaml in the current folder, with names to replace'],
      [
        'init --host localhost --port 5600 --password-file demo/passwords/postgres --cluster-database skymap',
        'with the nodes of the demo',
      ],
    ],
    exitCodes: [0, 1, 2, 3],
  });
}

const EXAMPLE: NodeSpec = {
  group: 0,
  host: 'coordinator.example',
  port: 5432,
  nodeName: 'coordinator.example',
  nodePort: 5432,
};

interface Cluster {
  readonly coordinator: NodeSpec;
  readonly workers: readonly NodeSpec[];
}

async function askCluster(
  runner: Runner,
  options: Omit<InitFlags, 'passwordFile'> & { readonly host: string; readonly passwordFile: string | undefined },
  signal: AbortSignal,
): Promise<Cluster> {
  const { host, port: at, user, passwordFile, clusterDatabase } = options;
  const cluster = { user, passwordFile, database: clusterDatabase, coordinator: { host, port: at } };
  const spec = parseSpec(JSON.stringify({ cluster, databases: [] }), 'the command line');
  const { redactor, surroundings } = runner;
  const { askForWorkers } = await import('../commands/init.ts');
  const workers = await askForWorkers({
    command: 'init',
    spec,
    access: await unlessInterrupted(signal, loadAccess(spec, redactor)),
    log: createStepLog(textLog({ level: 'info', stream: surroundings.stdout, redact: redactor.redact })),
    timeoutSeconds: REPORT_TIMEOUT_SECONDS,
    signal,
    print: () => undefined,
  });
  return { coordinator: spec.cluster.coordinator, workers };
}
