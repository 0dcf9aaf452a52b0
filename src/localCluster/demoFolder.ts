import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PEM, readText } from '../files/read.ts';
import { Failure } from '../report/errors.ts';
import { schemaLine } from '../spec/schemaFile.ts';
import type { DemoNode } from './demoCluster.ts';
import { EXAMPLE, exampleSpec } from './example.ts';
import { assertOwnFolder } from './ownFolder.ts';

const PASSWORD_FILES = [EXAMPLE.passwordFiles.superuser, ...EXAMPLE.passwordFiles.users];

/** The folder that the demo leaves to its user: a spec to edit, and the passwords that it names. */
export interface DemoFolder {
  readonly specFile: string;
  readonly superuserPassword: string;
}

/** Makes what is missing and keeps what is there: whoever has edited the spec finds it again in the next demo. */
export async function prepareDemoFolder(folder: string): Promise<DemoFolder> {
  try {
    await mkdir(path.join(folder, 'passwords'), { recursive: true, mode: 0o700 });
    await assertOwnFolder(folder, ['passwords', 'spec.yaml', ...PASSWORD_FILES]);
    const [superuser] = await Promise.all(
      PASSWORD_FILES.map((file) => keepOrWrite(path.join(folder, file), randomBytes(18).toString('base64url'))),
    );
    return { specFile: path.join(folder, 'spec.yaml'), superuserPassword: superuser ?? '' };
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(
      {
        kind: 'failed',
        what: `The folder of the demo cannot be written (${folder})`,
        cause: error instanceof Error ? error.message : String(error),
        next: 'Choose another one: --directory FOLDER',
      },
      { cause: error },
    );
  }
}

/** Returns whether the spec is the example: written now, or left as it was. */
export async function prepareSpec({ specFile }: DemoFolder, nodes: readonly DemoNode[]): Promise<boolean> {
  const example = exampleSpec(nodes, schemaLine(path.dirname(specFile)));
  return (await keepOrWrite(specFile, example)) === example;
}

/** For psql: PGPASSFILE (PostgreSQL documentation, "The Password File" in libpq), so that no password is ever typed. */
export async function writePgpass(file: string, passwords: ReadonlyMap<string, string>): Promise<void> {
  const lines = [...passwords].map(([user, password]) => `*:*:*:${escapeField(user)}:${escapeField(password)}\n`);
  // Made anew: a file that is there keeps its mode, and a link leads elsewhere.
  await rm(file, { force: true });
  await writeFile(file, lines.join(''), { flag: 'wx', mode: 0o600 });
}

function escapeField(text: string): string {
  return text.replaceAll(/[\\:]/g, String.raw`\$&`);
}

/** What the file holds: what it held, or else the given content. */
async function keepOrWrite(file: string, content: string): Promise<string> {
  try {
    await writeFile(file, content, { flag: 'wx', mode: 0o600 });
    return content;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    return await readText(file, PEM);
  }
}
