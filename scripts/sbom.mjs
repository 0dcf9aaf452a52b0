// node scripts/sbom.mjs FILE: writes a CycloneDX bill of materials of the packages that the program is built from, and
// checks it against the lock file: each package that is there outside development, in its version and with its hash.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const [file] = process.argv.slice(2);
const problems = file === undefined ? ['Usage: node scripts/sbom.mjs FILE'] : write(file);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;

function write(file) {
  const options = ['sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'application', '--loglevel=error'];
  const { status, stdout, stderr } = spawnSync('npm', options, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0) return [`npm sbom ended with ${status}`, stderr];
  const bill = JSON.parse(stdout);
  if (bill.bomFormat !== 'CycloneDX') return [`This is no CycloneDX: bomFormat is ${bill.bomFormat}`];
  const production = productionPackages();
  const reduced = withoutDevelopment(bill, new Set(production.map(({ name }) => name)));
  writeFileSync(file, `${JSON.stringify(reduced, undefined, 2)}\n`);

  const written = JSON.parse(readFileSync(file, 'utf8'));
  const listed = new Map(written.components.map((component) => [component['bom-ref'], component]));
  const required = production.filter(({ optional }) => !optional);
  console.log(`${listed.size} packages in the bill of materials, ${required.length} of them required`);
  const unhashed = [...listed].filter(([, { hashes }]) => (hashes ?? []).length === 0).map(([name]) => name);
  return [
    ...(required.length === 0 ? ['The lock file has no packages'] : []),
    ...required.filter(({ name }) => !listed.has(name)).map(({ name }) => `${name} is missing`),
    ...unhashed.map((name) => `${name} has no hash`),
  ];
}

/**
 * `npm sbom --omit dev` (npm 11.19) leaves out what a development package needs as well, pg among them: hence all
 * packages first. npm also takes the folder's name for the program's.
 */
function withoutDevelopment(bill, names) {
  const { name } = JSON.parse(readFileSync('package.json', 'utf8'));
  const root = bill.metadata.component['bom-ref'];
  const kept = (ref) => ref === root || names.has(ref);
  return {
    ...bill,
    metadata: { ...bill.metadata, component: { ...bill.metadata.component, name } },
    components: bill.components.filter((component) => kept(component['bom-ref'])),
    dependencies: bill.dependencies
      .filter(({ ref }) => kept(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(kept) })),
  };
}

/** Of the lock file: all that is not for development alone. */
function productionPackages() {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  return Object.entries(packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true)
    .map(([path, { version, optional, devOptional, peer }]) => ({
      name: `${path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${version}`,
      optional: optional === true || devOptional === true || peer === true,
    }));
}
