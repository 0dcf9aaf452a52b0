/**
 * The documents' commands for a Kubernetes cluster. They are run by a shell in which `helm` and `kubectl` only note down
 * their arguments; then Helm renders the chart with the values of each command, and every object that kubectl names has to
 * be among what is rendered.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { splitScript } from '../../src/initSql/splitScript.ts';
import { at, exampleFile, helm, type Manifest, ofKind, parseManifests, render } from '../support/chart.ts';
import { runCommandLine } from '../support/commandLine.ts';
import { documents, marked, root } from '../support/documents.ts';

type Command = readonly string[];

const tested = documents().flatMap((document) => {
  const blocks = marked(document, 'values', 'cluster', 'console');
  return blocks.length === 0 ? [] : [{ path: document.path, blocks }];
});

describe.each(tested)('$path', ({ blocks }) => {
  let folder: string;
  /** What the last helm command of the document left behind; before the first one, the chart's example. */
  let release: Release = { args: [], objects: [], secrets: [] };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'citus-databases-documents-'));
    prepare(folder);
    const args = ['--values', exampleFile];
    release = { args, objects: render({ args }), secrets: [] };
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(blocks.map((block) => [`${block.mark.kind} at ${block.place}`, block] as const))('%s', async (_, block) => {
    if (block.mark.kind === 'values') {
      writeFileSync(join(folder, block.mark.options['file'] ?? 'values.yaml'), block.code);
      const values: Readonly<Record<string, unknown>> = parse(block.code);
      // Servers, or where something else runs them, the Jobs alone.
      const own = (values['cluster'] as { readonly create?: boolean } | undefined)?.create !== false;
      expect(ofKind(render({ values }), own ? 'StatefulSet' : 'Job')).not.toEqual([]);
      return;
    }
    if (block.mark.options['certs'] !== undefined) shell('scripts/generate-ssl-certs.sh', folder);
    const transcript = [...block.code.matchAll(/^\$ (.+)$/gm)].map((match) => match[1]).join('\n');
    const commands = run(block.mark.kind === 'console' ? transcript : block.code, folder);
    if (block.mark.options['certs'] === undefined) expect(commands).not.toEqual([]);
    for (const [program, ...args] of commands) {
      if (program === 'helm') release = checkHelm(args, release, folder);
      else if (program === 'kubectl') release = await checkKubectl(args, release, folder);
      else if (program === 'psql') await checkPsql(args, release.objects);
      else await checkRunInCluster(args, release.objects);
    }
  });
});

interface Release {
  readonly args: readonly string[];
  readonly objects: readonly Manifest[];
  /** Made by `kubectl create secret`. */
  readonly secrets: readonly string[];
}

/** In one write at the end: the parts of a pipeline run at the same time. */
const NOTE = `#!/bin/sh
note=$(basename "$0")
for argument in "$@"; do
  note="$note
:$(printf '%s' "$argument" | od -An -v -tx1 | tr -d ' \\n')"
done
printf '%s\\n\\n' "$note" >> "$COMMANDS"
`;

/** A folder that looks like the repository, where helm, kubectl and scripts/run-in-cluster only note what is asked of them. */
function prepare(folder: string): void {
  mkdirSync(join(folder, 'bin'));
  symlinkSync(join(root, 'chart'), join(folder, 'chart'));
  cpSync(join(root, 'scripts'), join(folder, 'scripts'), { recursive: true });
  for (const file of ['bin/helm', 'bin/kubectl', 'bin/psql', 'scripts/run-in-cluster', 'scripts/build-images']) {
    writeFileSync(join(folder, file), NOTE);
    chmodSync(join(folder, file), 0o755);
  }
}

/** Runs the script; returns the noted commands in their order. */
function run(script: string, folder: string): readonly Command[] {
  const notes = join(folder, 'commands');
  writeFileSync(notes, '');
  // A command in the background has to be noted too.
  shell(`${script}\nwait`, folder);
  return readFileSync(notes, 'utf8')
    .split('\n\n')
    .filter((command) => command !== '')
    .map((command) => {
      const [program = '', ...args] = command.split('\n');
      return [program, ...args.map((argument) => Buffer.from(argument.slice(1), 'hex').toString('utf8'))];
    });
}

function shell(script: string, folder: string): void {
  const path = `${join(folder, 'bin')}${delimiter}${process.env['PATH']}`;
  const env = { ...process.env, COMMANDS: join(folder, 'commands'), PATH: path };
  const ended = spawnSync('bash', ['-euo', 'pipefail', '-c', script], { cwd: folder, env, encoding: 'utf8' });
  expect(ended.status, ended.stderr).toBe(0);
}

/** Renders the chart as the command would; `--reuse-values` keeps what the commands before it gave. */
function checkHelm(args: Command, before: Release, folder: string): Release {
  const [verb, name = '', ...rest] = withoutFlag(args, ['-n', '--namespace']);
  if (verb === 'install' || verb === 'upgrade') {
    const [chart, ...options] = rest;
    expect(chart).toBe('./chart');
    const reuses = options.some((option) => option === '--reuse-values' || option === '--reset-then-reuse-values');
    const given = withoutFlag(options, ['--timeout']).filter((option) => !HELM_SWITCHES.includes(option));
    const all = [...(reuses ? before.args : []), ...given];
    const { status, stdout, stderr } = helm(['template', name, join(root, 'chart'), ...inFolder(all, folder)]);
    expect(status, `helm ${args.join(' ')}\n${stderr}`).toBe(0);
    return { ...before, args: all, objects: parseManifests(stdout) };
  }
  const [what, asked] = verb === 'get' ? [`get ${name}`, rest[0]] : [verb, name];
  expect(HELM_QUESTIONS).toContain(what);
  expect(asked).toBe('citusdemo');
  return before;
}

const HELM_SWITCHES = ['--install', '--reuse-values', '--reset-then-reuse-values', '--wait', '--atomic'];

const HELM_QUESTIONS = [
  'test',
  'uninstall',
  'rollback',
  'history',
  'status',
  'get values',
  'get notes',
  'get manifest',
];

/** Without these flags and their values. */
function withoutFlag(args: Command, flags: readonly string[]): Command {
  return args.filter((argument, index) => !flags.includes(argument) && !flags.includes(args[index - 1] ?? ''));
}

function inFolder(args: Command, folder: string): Command {
  return args.map((argument, index) =>
    ['-f', '--values'].includes(args[index - 1] ?? '') ? resolve(folder, argument) : argument,
  );
}

const KINDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['job', ['Job']],
  ['jobs', ['Job']],
  ['pod', ['StatefulSet']],
  ['pods', ['StatefulSet', 'Job']],
  ['secret', ['Secret']],
  ['secrets', ['Secret']],
  ['configmap', ['ConfigMap']],
  ['statefulset', ['StatefulSet']],
  ['service', ['Service']],
  ['services', ['Service']],
  ['pvc', ['StatefulSet']],
]);

/** Labels that only a running cluster knows. */
const SET_AT_RUN_TIME = ['role', 'job-name'];

/** Those that a user creates, and those that `prepare` makes inside the cluster: no manifest has them, pods mount them. */
function secretNames({ objects, secrets }: Release): readonly string[] {
  const mounted = [...JSON.stringify(objects).matchAll(/"secretName":"([^"]+)"/g)].map(([, name = '']) => name);
  return [...secrets, ...mounted];
}

async function checkKubectl(args: Command, release: Release, folder: string): Promise<Release> {
  const { objects } = release;
  const end = args.indexOf('--');
  const inside = end === -1 ? [] : args.slice(end + 1);
  const own = withoutFlag(end === -1 ? args : args.slice(0, end), ['-n', '--namespace', '-o', '-L', '-c', '--timeout']);
  const selector = own.flatMap((argument, index) =>
    ['-l', '--selector'].includes(own[index - 1] ?? '') ? [argument] : [],
  );
  const [verb = '', ...rest] = withoutFlag(own, ['-l', '--selector']).filter(
    (argument) => !/^-(?!-from)/.test(argument),
  );
  const told = `kubectl ${args.join(' ')}`;
  if (verb === 'create') return { ...release, secrets: [...release.secrets, checkCreate(rest, args, folder, told)] };
  if (verb === 'apply') return release;
  expect(['get', 'logs', 'describe', 'exec', 'delete', 'wait', 'rollout', 'port-forward', 'cp'], told).toContain(verb);
  const words = verb === 'rollout' ? rest.slice(1) : rest;
  const [first = '', ...names] = words;
  const [kind = '', name] = first.split('/');
  if (verb === 'exec' || (verb === 'logs' && name === undefined)) {
    if (selector.length === 0) expect(podNames(objects), told).toContain(first);
  } else {
    for (const single of kind.split(',')) {
      const kinds = KINDS.get(single);
      expect(kinds, `${told}: kind ${single}`).toBeDefined();
      const known = ofKinds(objects, kinds ?? []).map(({ metadata }) => metadata.name);
      for (const wanted of name === undefined ? names : [name]) {
        const others = kind.startsWith('pod') ? podNames(objects) : kind === 'secret' ? secretNames(release) : [];
        expect([...known, ...others], told).toContain(wanted);
      }
    }
  }
  for (const text of selector) expect(selected(objects, text), `${told}: selects nothing`).not.toEqual([]);
  if (inside[0] === 'psql') await checkPsql(inside.slice(1), objects);
  return release;
}

/** The SQL can be parsed, and the host is one of the chart's. */
async function checkPsql(args: Command, objects: readonly Manifest[]): Promise<void> {
  const sql = args.filter((_, index) => args[index - 1] === '-c');
  for (const text of sql) if (!text.startsWith('\\')) await splitScript(text, 'postgres');
  const host = /\bhost=(\S+)/.exec(args.join(' '))?.[1];
  const services = ofKind(objects, 'Service').map(({ metadata }) => metadata.name);
  if (host !== undefined) expect([...services, 'localhost']).toContain(host);
}

/** `kubectl create secret generic NAME --from-file=KEY=FILE`: the files are there. Returns the name. */
function checkCreate(rest: Command, args: Command, folder: string, told: string): string {
  expect(rest.slice(0, 2), told).toEqual(['secret', 'generic']);
  for (const argument of args) {
    const file = /^--from-file=[^=]+=(.+)$/.exec(argument)?.[1];
    if (file !== undefined) expect(() => readFileSync(join(folder, file)), told).not.toThrow();
  }
  return rest[2] ?? '';
}

function ofKinds(objects: readonly Manifest[], kinds: readonly string[]): readonly Manifest[] {
  return objects.filter(({ kind }) => kinds.includes(kind));
}

function podNames(objects: readonly Manifest[]): readonly string[] {
  return ofKind(objects, 'StatefulSet').flatMap((set) =>
    Array.from({ length: Number(at(set, 'spec.replicas')) }, (_, index) => `${set.metadata.name}-${index}`),
  );
}

/** Objects, or pods of theirs, that a selector finds. */
function selected(objects: readonly Manifest[], selector: string): readonly string[] {
  const wanted = selector.split(',').map((term) => term.split('=') as [string, string]);
  for (const [label, value] of wanted) {
    if (label === 'job-name') expect(ofKind(objects, 'Job').map(({ metadata }) => metadata.name)).toContain(value);
  }
  const fixed = wanted.filter(([label]) => !SET_AT_RUN_TIME.includes(label));
  return objects
    .filter((object) =>
      [object.metadata.labels, at(object, 'spec.template.metadata.labels')].some((labels) =>
        fixed.every(([label, value]) => String(at(labels, label) ?? labelOf(labels, label)) === value),
      ),
    )
    .map(({ metadata }) => metadata.name);
}

/** Labels have dots in their names, which `at` takes apart. */
function labelOf(labels: unknown, label: string): unknown {
  return typeof labels === 'object' && labels !== null ? Reflect.get(labels, label) : undefined;
}

/** The command line is one that the program takes: it gets as far as reading its spec. */
async function checkRunInCluster(args: Command, objects: readonly Manifest[]): Promise<void> {
  const [release, ...command] = withoutFlag(args, ['-n', '--namespace']);
  expect(ofKind(objects, 'Job').map(({ metadata }) => metadata.name)).toContain(`${release}-verify`);
  const { out } = await runCommandLine([...command, '--spec', '/nonexistent/spec.yaml']);
  expect(out, command.join(' ')).toContain('The spec cannot be read (/nonexistent/spec.yaml)');
}

test('the commands of the documents use only scripts that exist', () => {
  const scripts = readdirSync(join(root, 'scripts'));
  for (const { path, text } of documents()) {
    for (const [, script = ''] of text.matchAll(/(?<![\w/])(?:\.\/)?scripts\/([\w.-]+\w)/g)) {
      expect(scripts, `${path}: scripts/${script}`).toContain(script);
    }
  }
});
