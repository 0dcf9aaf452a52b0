/**
 * The documents' examples on a local cluster, in the order of each document: values are applied, specs given to the
 * program, SQL is run, and what the program prints is compared with what the document shows.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { quoteConninfoValue } from '../../src/postgres/quote.ts';
import { type LocalCluster, query, startLocalCluster } from '../support/cluster.ts';
import { type Block, documents, type Mark, marked, root } from '../support/documents.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

type MarkedBlock = Block & { readonly mark: Mark };

const tested = documents().flatMap((document) => {
  const blocks = marked(document, 'values', 'spec', 'program', 'output', 'sql').filter(
    ({ mark }) => mark.kind !== 'values' || mark.options['apply'] !== undefined,
  );
  return blocks.some(({ mark }) => mark.kind !== 'spec') ? [{ path: document.path, blocks }] : [];
});

describe.each(tested)('$path', ({ blocks }) => {
  let cluster: LocalCluster;
  let folder: string;
  let printed = '';

  beforeAll(async () => {
    cluster = await startLocalCluster({ workers: 2 });
    folder = mkdtempSync(join(tmpdir(), 'citus-databases-documents-'));
    writeProgram(folder);
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await cluster.stop();
  });

  const actions: Readonly<Record<string, (block: MarkedBlock) => Promise<void>>> = {
    async values({ code, mark }) {
      const { additionalDatabases } = parse(code);
      const { code: ended, log, stderr } = await runProgram(cluster, ['apply'], specOf(cluster, additionalDatabases));
      expect(ended, `${log}${stderr}`).toBe(Number(mark.options['exit'] ?? 0));
      if (mark.options['unchanged'] !== undefined) expect(log).toContain('Nothing was changed');
    },
    async spec({ code, mark }) {
      writeFileSync(join(folder, mark.options['file'] ?? 'spec.yaml'), stringify(onLocalCluster(cluster, parse(code))));
    },
    async program({ code, mark }) {
      const script = `set -e\n${code.trimEnd()}\n`;
      const ended = await bash(script, folder);
      printed = withNames(cluster, ended.stdout);
      expect(ended.code, printed + ended.stderr).toBe(Number(mark.options['exit'] ?? 0));
    },
    async output({ code }) {
      expect(printed.endsWith(code), `it prints:\n${printed}`).toBe(true);
    },
    async sql({ code, mark }) {
      const { nodes = 'coordinator', database = 'postgres' } = mark.options;
      const groups = cluster.nodes.map(({ group }) => group);
      const chosen = { coordinator: [0], workers: groups.filter((group) => group !== 0), all: groups }[nodes] ?? [];
      expect(chosen).not.toEqual([]);
      for (const group of chosen) await query(cluster, group, database, onLocalNodes(cluster, code));
    },
  };

  test.each(blocks.map((block) => [`${block.mark.kind} at ${block.place}`, block] as const))('%s', async (_, block) => {
    const action = actions[block.mark.kind];
    if (action === undefined) throw new Error(`nothing is known about ${block.mark.kind}`);
    await action(block);
  });
});

/** `citus-databases`, as it is typed in the documents: the sources, bundled into the folder. */
function writeProgram(folder: string): void {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const program = join(folder, 'program');
  const command = join(bin, 'citus-databases');
  writeFileSync(
    command,
    `#!/bin/sh
[ -e '${program}' ] || (cd '${root}' && '${process.execPath}' scripts/build.mjs '${program}') >&2 || exit 99
exec '${process.execPath}' '${program}/citus-databases.js' "$@"
`,
  );
  chmodSync(command, 0o755);
}

async function bash(
  script: string,
  folder: string,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const env = { ...process.env, PATH: `${join(folder, 'bin')}${delimiter}${process.env['PATH']}` };
  const child = spawn('bash', ['-c', script], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, stdout, stderr };
}

/** The document's spec with the local cluster's addresses in place of citusdemo-0, -1, -2. */
function onLocalCluster(cluster: LocalCluster, spec: Document): Document {
  return { ...spec, ...specOf(cluster, databasesOf(spec)) };
}

function databasesOf({ databases }: Document): readonly Document[] {
  if (!Array.isArray(databases)) throw new Error('the spec has no list of databases');
  return databases;
}

/** SQL with the local addresses and the real password. */
function onLocalNodes(cluster: LocalCluster, sql: string): string {
  const password = quoteConninfoValue(cluster.password).replaceAll("'", "''");
  return cluster.nodes
    .reduce((text, { group, host, port }) => text.replaceAll(`'citusdemo-${group}', 5432`, `'${host}', ${port}`), sql)
    .replaceAll('password=SECRET', () => `password=${password}`);
}

/** Output with the documents' names: citusdemo-1 where the program says 127.0.0.1:40123. */
function withNames(cluster: LocalCluster, text: string): string {
  return cluster.nodes.reduce(
    (result, { group, host, port }) =>
      result
        .replaceAll(new RegExp(`${host}:${port} \\(group`, 'g'), `citusdemo-${group}:5432 (group`)
        .replaceAll(`coordinator as ${host}:${port}`, `coordinator as citusdemo-${group}:5432`)
        .replaceAll(`${host}:${port}`, `citusdemo-${group}`),
    text,
  );
}
