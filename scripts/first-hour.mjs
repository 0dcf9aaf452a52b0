// node scripts/first-hour.mjs [--keep]: what a new user does in the first minutes, typed from the documents: README.md's
// "Try it" and docs/QUICKSTART.md's first spec, in a new account with an empty home folder, until that user has inserted
// into a distributed table of an own database. Prints how long each command took, and how long all of it takes somebody
// who types. Exit code 1: a command did not do what the document says, or it took too long; 75: not run, because this
// needs root, Linux, psql, the ports 5600 to 5602, and a registry that a new account reaches.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';

/** Sixty words a minute. */
const CHARACTERS_PER_SECOND = 5;
const MOST_SECONDS = Number(process.env['FIRST_HOUR_SECONDS'] ?? 300);
const READY = 'The cluster stays up until Ctrl-C.';

const root = path.join(import.meta.dirname, '..');
const started = [];

const obstacle = await whyNot();
if (obstacle !== undefined) {
  console.log(`NOT RUN: ${obstacle}`);
  process.exitCode = 75;
} else {
  process.exitCode = await firstHour();
}

async function whyNot() {
  if (process.platform !== 'linux' || process.getuid() !== 0) return 'a new account needs root, on Linux';
  for (const program of ['useradd', 'userdel', 'runuser', 'git', 'psql', 'openssl']) {
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return `there is no ${program} here`;
  }
  for (const port of [5600, 5601, 5602]) if (!(await isFree(port))) return `port ${port} is in use`;
  return undefined;
}

/** Node may be in a folder of root's, and the way to the registry in root's environment alone. */
async function whyNotAs(user) {
  try {
    await run(user, `/home/${user}`, 'node --version && timeout 60 npm view yaml version');
    return undefined;
  } catch (error) {
    return `a new account here has no node, or no way to npm's registry: ${error.message.trim().split('\n').at(-1)}`;
  }
}

async function firstHour() {
  const user = `hour${process.pid}`;
  const folder = mkdtempSync('/tmp/first-hour-');
  try {
    check('useradd', ['--create-home', '--shell', '/bin/bash', user]);
    // What is committed, in one file that another user may read.
    const bundle = path.join(folder, 'citus-databases.bundle');
    check('git', ['-C', root, 'bundle', 'create', '--quiet', bundle, 'HEAD']);
    check('chmod', ['-R', 'a+rX', folder]);
    const cannot = await whyNotAs(user);
    if (cannot !== undefined) {
      console.log(`NOT RUN: ${cannot}`);
      return 75;
    }
    return await type(user, bundle);
  } finally {
    for (const child of started) await interrupt(child);
    spawnSync('userdel', ['--remove', user], { stdio: 'ignore' });
    rmSync(folder, { recursive: true });
  }
}

async function type(user, bundle) {
  const times = [];
  let characters = 0;
  const [clone, demo] = blocksOf('README.md', /^## Try it$/m).slice(0, 2);
  const quickstart = blocksOf('docs/QUICKSTART.md', /^## A first spec/m);
  const last = quickstart.findIndex((block) => block.includes('INSERT INTO events'));
  if (clone === undefined || demo === undefined || last === -1) throw new Error('the documents have other blocks');

  const home = `/home/${user}`;
  const checkout = path.join(home, 'citus-databases');
  await step(clone, () => run(user, home, `REPOSITORY=${bundle}\n${clone}`));
  await step(demo, () => stayingUp(user, checkout, demo));
  let exported = '';
  for (const block of quickstart.slice(1, last + 1)) {
    const out = await step(block, () => run(user, checkout, exported + block, block.includes(' plan ') ? [10] : [0]));
    exported += block
      .split('\n')
      .filter((line) => line.startsWith('export '))
      .map((line) => `${line}\n`)
      .join('');
    if (block.includes('INSERT INTO events') && !/^ +100$/m.test(out)) throw new Error(`no 100 rows:\n${out}`);
  }

  const waited = times.reduce((sum, seconds) => sum + seconds, 0);
  const typed = characters / CHARACTERS_PER_SECOND;
  const all = `${waited.toFixed(0)} s of waiting, ${typed.toFixed(0)} s to type ${characters} characters`;
  console.log(`From the clone to an own database that its user inserts into: ${all}`);
  if (waited + typed <= MOST_SECONDS) return 0;
  console.log(`That is more than ${MOST_SECONDS} s (FIRST_HOUR_SECONDS)`);
  return 1;

  async function step(block, body) {
    const begun = performance.now();
    const out = await body();
    const seconds = (performance.now() - begun) / 1000;
    times.push(seconds);
    characters += block.length;
    console.log(`${seconds.toFixed(1).padStart(6)} s  ${block.trim().split('\n').at(0)}`);
    return out;
  }
}

/** The blocks of bash from a heading to the next of its level. */
function blocksOf(file, heading) {
  const text = readFileSync(path.join(root, file), 'utf8');
  const start = heading.exec(text);
  if (start === null) throw new Error(`${file} has no heading ${heading}`);
  const [section] = text.slice(start.index + start[0].length).split(/^## /m);
  return [...section.matchAll(/^```bash\n([\s\S]*?)^```$/gm)].map(([, code]) => code);
}

async function run(user, cwd, script, codes = [0]) {
  const { child, output } = shell(user, cwd, `set -e\n${script}`);
  const code = await new Promise((ended) => child.once('close', ended));
  if (!codes.includes(code)) throw new Error(`exit code ${code}:\n${script}\n${output.text}`);
  return output.text;
}

async function stayingUp(user, cwd, script) {
  // `--stay` is what a terminal means by itself.
  const { child, output } = shell(user, cwd, script.replace(/^npm run demo$/m, 'exec npm run demo -- --stay'));
  started.push(child);
  await new Promise((ready, failed) => {
    child.stdout.on('data', () => output.text.includes(READY) && ready());
    child.once('close', (code) => failed(new Error(`the demo ended with ${code}:\n${output.text}`)));
  });
  return output.text;
}

/** As a login of that user, with nothing of this process's environment. */
function shell(user, cwd, script) {
  const env = [`HOME=/home/${user}`, `USER=${user}`, `PATH=${process.env['PATH']}`, 'TERM=dumb', 'LANG=C.UTF-8'];
  const args = ['-u', user, '--', 'env', '-i', ...env, 'bash', '-c', `cd ${cwd}\n${script}`];
  // A group of its own, as a terminal makes one for each job.
  const child = spawn('runuser', args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const output = { text: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output.text += text;
    });
  }
  return { child, output };
}

async function interrupt(child) {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('close', resolve));
  process.kill(-child.pid, 'SIGINT');
  await ended;
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer().listen(port, '127.0.0.1');
    probe.once('error', () => resolve(false));
    probe.once('listening', () => probe.close(() => resolve(true)));
  });
}

function check(command, args) {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}
