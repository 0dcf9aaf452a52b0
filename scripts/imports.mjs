// node scripts/imports.mjs [FOLDER]: which folder of src may import from which; part of `npm run lint`. Exit code 1: an
// import that the table does not allow, a circle between files, or an import from src into test, bench or scripts.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/**
 * From the top down: a folder imports from those it names, all of which stand below it, so no two can depend on each
 * other. `folder/file` allows that one file. A folder that is not in the table may import nothing.
 */
const ALLOWED = {
  'main.ts': ['cli'],
  cli: [
    'commands',
    'kubernetes',
    'context.ts',
    'secrets',
    'spec',
    'postgres/asFailure',
    'postgres/sqlstate',
    'postgres/sqlstates',
    'concurrency',
    'report',
  ],
  // One file a command, and what runs something for each database.
  commands: [
    ...['reconcile', 'patroni', 'prepare', 'kubernetes', 'certificates', 'localCluster', 'cluster', 'context.ts'],
    ...['secrets', 'initSql', 'objects', 'spec', 'postgres', 'concurrency', 'files', 'report'],
  ],
  prepare: ['files', 'kubernetes', 'certificates', 'report'],
  patroni: ['cluster', 'context.ts', 'secrets', 'objects', 'spec', 'postgres', 'concurrency', 'report'],
  // The order of work, observing, carrying out, proof.
  reconcile: ['cluster', 'context.ts', 'initSql', 'objects', 'spec', 'postgres', 'concurrency', 'report'],
  // Which nodes there are and whether they are ready.
  cluster: ['kubernetes', 'context.ts', 'secrets', 'objects', 'spec', 'postgres', 'concurrency', 'report'],
  'context.ts': ['secrets', 'spec', 'report'],
  secrets: ['files', 'spec', 'postgres/tls', 'postgres/credentials', 'report'],
  // Deciding: pure, and knows nothing of connections.
  initSql: ['objects', 'spec', 'postgres/quote', 'report/errors'],
  objects: [
    'spec',
    'postgres/citusSettings',
    'postgres/quote',
    'postgres/scram',
    'postgres/sqlstates',
    'report/errors',
  ],
  localCluster: ['files', 'spec/schemaFile', 'concurrency', 'report'],
  // Transport: knows nothing of Citus, of declared databases, or of the log.
  postgres: ['files', 'concurrency', 'report/errors'],
  spec: ['files', 'report/errors'],
  kubernetes: ['files', 'report/errors'],
  certificates: [],
  concurrency: ['report/errors'],
  files: [],
  report: [],
};

const root = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, '..'));
const source = path.join(root, 'src');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => /\.[cm]?ts$/.test(file));
const imports = new Map(files.map((file) => [file, importsOf(file)]));
const wrong = [...imports].flatMap(([file, targets]) => targets.flatMap((target) => judge(file, target) ?? []));
const circles = findCircles();
for (const line of [...wrong, ...circles]) console.log(line);
if (wrong.length + circles.length > 0) process.exitCode = 1;
else console.log(`${files.length} files, ${[...imports.values()].flat().length} imports: none that is not allowed`);

/** Relative imports, static and dynamic, as paths within src. */
function importsOf(file) {
  const text = readFileSync(path.join(source, file), 'utf8');
  const found = text.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']*)'/g);
  return [...found].map(([, target]) => path.posix.join(path.posix.dirname(file), target));
}

function judge(file, target) {
  if (target.startsWith('../'))
    return target === '../package.json' ? undefined : `src/${file} imports ${target.slice(3)}, which is not src`;
  const [from, to] = [roomOf(file), roomOf(target)];
  if (from === to) return undefined;
  const allowed = ALLOWED[from] ?? [];
  if (allowed.includes(to) || allowed.includes(target.replace(/\.ts$/, ''))) return undefined;
  return `src/${file} imports src/${target}: ${from} may import from ${allowed.join(', ') || 'nothing'} (scripts/imports.mjs)`;
}

function roomOf(file) {
  return file.split('/')[0];
}

/** Circles of files; there can be none between folders, since the table has none. */
function findCircles() {
  const done = new Set();
  const circles = [];
  const visit = (file, trail) => {
    if (trail.includes(file)) {
      circles.push(`circle: ${[...trail.slice(trail.indexOf(file)), file].map((name) => `src/${name}`).join(' -> ')}`);
      return;
    }
    if (done.has(file)) return;
    for (const target of imports.get(file) ?? []) visit(target, [...trail, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return circles;
}
