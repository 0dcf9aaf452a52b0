// Installs the packages when they are missing or older than the lock file, so that `npm run demo` and `npm test` work
// directly after the clone. Node's own modules only, and nothing that an old Node lacks: nothing is installed yet when
// this runs, and it is this script that says which Node is needed.
import { spawn } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';

/** Somebody who waits wants a sign of life at least this often. */
const PROGRESS_MS = 5000;

const { engines } = JSON.parse(readFileSync('package.json', 'utf8'));
const needed = engines.node.replace('>=', '');
if (isOlder(process.versions.node, needed)) {
  console.error(
    `citus-databases needs Node ${needed} or newer, and this is ${process.versions.node}: install a newer one ` +
      'from https://nodejs.org/en/download (Debian 12 and Ubuntu 24.04 have Node 18).',
  );
  process.exitCode = 1;
} else if (isOutdated()) {
  install();
}

function isOlder(version, wanted) {
  const [major, minor] = version.split('.').map(Number);
  const [wantedMajor, wantedMinor] = wanted.split('.').map(Number);
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
}

function isOutdated() {
  const installed = modified('node_modules/.package-lock.json');
  const wanted = modified('package-lock.json');
  return installed === undefined || (wanted !== undefined && wanted > installed);
}

function modified(file) {
  const found = statSync(file, { throwIfNoEntry: false });
  return found === undefined ? undefined : found.mtimeMs;
}

function install() {
  console.error('Installing the npm packages, once (npm ci)...');
  const startedAt = Date.now();
  const progress = setInterval(() => {
    console.error(`  still installing, ${Math.round((Date.now() - startedAt) / 1000)} s so far...`);
  }, PROGRESS_MS);
  const npm = process.env['npm_execpath'];
  const [command, ...rest] = npm === undefined ? ['npm'] : [process.execPath, npm];
  const child = spawn(command, [...rest, 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  child.once('error', (error) => finish(1, error.message));
  child.once('exit', (code, signal) => finish(code === null ? 1 : code, signal));

  function finish(code, reason) {
    clearInterval(progress);
    process.exitCode = code;
    if (code !== 0) {
      console.error(`npm ci failed (${reason === null ? `exit code ${code}` : reason}); run \`npm ci\` to see why.`);
    }
  }
}
