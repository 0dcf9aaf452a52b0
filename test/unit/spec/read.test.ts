import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Failure } from '../../../src/report/errors.ts';
import { readSpec } from '../../../src/spec/read.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'spec-'));
afterAll(() => rmSync(directory, { recursive: true }));

const good = 'cluster: { coordinator: { host: citusdemo-0 } }\ndatabases: [{ name: "Üñí" }]\n';

function file(name: string, content: string | Uint8Array): string {
  const full = path.join(directory, name);
  writeFileSync(full, content);
  return full;
}

async function messageOf(name: string): Promise<string> {
  const error: unknown = await readSpec(name).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Failure) || error.details.kind !== 'invalid') throw new Error(`No Failure: ${error}`);
  return error.message.replaceAll(directory, '/dir');
}

describe('readSpec', () => {
  test('reads UTF-8, with a byte order mark or without', async () => {
    const plain = await readSpec(file('good.yaml', good));
    expect(plain.databases[0]?.name).toBe('Üñí');
    expect(await readSpec(file('bom.yaml', `\uFEFF${good}`))).toEqual(plain);
    expect(await readSpec(file('crlf.yaml', good.replaceAll('\n', '\r\n')))).toEqual(plain);
  });

  test('takes the files that it names from its own folder', async () => {
    const given = file(
      'files.yaml',
      `
cluster: { passwordFile: passwords/postgres, coordinator: { host: citusdemo-0 } }
ssl: { enabled: true, directory: ../ssl, nodeDirectory: as/the/nodes/see/it }
databases:
  - name: skymap
    users: [{ name: app, passwordFile: ./passwords/app, access: owner }, { name: ro, access: readOnly }]
  - { name: other, users: [{ name: abs, passwordFile: /run/secrets/abs, access: owner }] }
patroni:
  credentials: { username: patroni, passwordFile: passwords/patroni }
  tls: {}
  groups: [{ group: 0, members: [{ host: citusdemo-0-0 }] }]
`,
    );
    // Wherever the program is started, and however the spec is named.
    const read = await readSpec(path.relative(process.cwd(), given));
    expect(read.cluster.passwordFile).toBe(path.join(directory, 'passwords/postgres'));
    expect(read.ssl).toMatchObject({ directory: path.join(directory, '../ssl'), nodeDirectory: 'as/the/nodes/see/it' });
    expect(read.databases.flatMap(({ users }) => users.map(({ passwordFile }) => passwordFile))).toEqual([
      path.join(directory, 'passwords/app'),
      undefined,
      '/run/secrets/abs',
    ]);
    expect(read.patroni?.credentials?.passwordFile).toBe(path.join(directory, 'passwords/patroni'));
    expect(read.patroni?.tls.directory).toBe(path.join(directory, '../ssl'));
  });

  test('reads a pipe', async () => {
    const pipe = path.join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const writing = import('node:fs/promises').then(({ writeFile }) => writeFile(pipe, good));
    expect((await readSpec(pipe)).databases).toHaveLength(1);
    await writing;
  });

  test('says what is missing', async () => {
    expect(await messageOf(path.join(directory, 'none.yaml'))).toMatchInlineSnapshot(`
      "The spec cannot be read (/dir/none.yaml)
        Cause: ENOENT: no such file or directory, open '/dir/none.yaml'
        Next: Name the file with --spec or in CITUS_DATABASES_SPEC, and make it readable for the user that runs this program"
    `);
    expect(await messageOf(directory)).toMatchInlineSnapshot(`
      "The spec cannot be read (/dir)
        Cause: EISDIR: illegal operation on a directory, read
        Next: Name the file with --spec or in CITUS_DATABASES_SPEC, and make it readable for the user that runs this program"
    `);
  });

  test('refuses what is no UTF-8, naming the line', async () => {
    const latin1 = Buffer.from('cluster:\n  name: "Ü"\n', 'latin1');
    expect(await messageOf(file('latin1.yaml', latin1))).toMatchInlineSnapshot(`
      "The spec has 1 problem (/dir/latin1.yaml):
        line 2: bytes that are no UTF-8; the spec must be UTF-8
        Next: Correct the spec, or the values it was rendered from, and run again."
    `);
    const utf16 = Buffer.from(`\uFEFF${good}`, 'utf16le');
    expect(await messageOf(file('utf16.yaml', utf16))).toMatchInlineSnapshot(`
      "The spec has 1 problem (/dir/utf16.yaml):
        the document is UTF-16; the spec must be UTF-8
        Next: Correct the spec, or the values it was rendered from, and run again."
    `);
  });

  test('refuses more than 10 MB, without reading on', async () => {
    const large = file('large.yaml', `# ${'x'.repeat(10 * 1024 * 1024)}`);
    expect(await messageOf(large)).toMatchInlineSnapshot(`
      "The spec has 1 problem (/dir/large.yaml):
        the document is larger than 10 MB
        Next: Correct the spec, or the values it was rendered from, and run again."
    `);
    expect(await messageOf('/dev/zero')).toContain('larger than 10 MB');
  });
});
