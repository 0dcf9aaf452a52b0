// Installs the packages when they are missing or older than the lock file, so that `npm run demo` and `npm test` work
// directly after the clone. Node's own modules only: nothing is installed yet when this runs.
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';

function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

const installed = modified('node_modules/.package-lock.json');
const wanted = modified('package-lock.json');
if (installed === undefined || (wanted !== undefined && wanted > installed)) {
  console.error('Installing the packages (npm ci)...');
  const npm = process.env['npm_execpath'];
  const [command, ...rest] = npm === undefined ? ['npm'] : [process.execPath, npm];
  const result = spawnSync(command, [...rest, 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  process.exitCode = result.status ?? 1;
}
