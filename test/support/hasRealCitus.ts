/** For .ci/run: names the PostgreSQL with Citus that the tests use; exits with 1 when there is none. */
import { findRealCitus } from '../../src/localCluster/postgresInstall.ts';

const found = await findRealCitus();
if (found === undefined) process.exitCode = 1;
else console.log(`Citus ${found.citusVersion ?? '?'} on PostgreSQL ${found.version} (${found.bin})`);
