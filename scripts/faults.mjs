// npm run faults: tries to break the guarantees, at a sample of points. npm run faults -- --all: at every point, which
// takes hours. Other arguments go to vitest (a file, -t TITLE).
import { spawnSync } from 'node:child_process';

const all = process.argv.includes('--all');
const others = process.argv.slice(2).filter((argument) => argument !== '--all');
const { status } = spawnSync('npx', ['vitest', 'run', '--project', 'faults', ...others], {
  stdio: 'inherit',
  env: { ...process.env, ...(all ? { FAULTS: 'all' } : {}) },
});
process.exitCode = status ?? 1;
