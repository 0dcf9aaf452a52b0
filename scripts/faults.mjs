// npm run faults: tries to break the guarantees, at a sample of points that changes each day. npm run faults -- --all: at
// every point, which takes hours. Other arguments go to vitest (a file, -t TITLE).
import { spawnSync } from 'node:child_process';

const all = process.argv.includes('--all');
const others = process.argv.slice(2).filter((argument) => argument !== '--all');
// Each file has clusters of its own, and much of the time is spent waiting.
const options = ['--project', 'faults', '--fileParallelism', '--maxWorkers', '2'];
const { status } = spawnSync('npx', ['vitest', 'run', ...options, ...others], {
  stdio: 'inherit',
  env: { ...process.env, ...(all ? { FAULTS: 'all' } : {}) },
});
process.exitCode = status ?? 1;
