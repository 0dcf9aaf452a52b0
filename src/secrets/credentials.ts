import { readBounded, SHORT } from '../files/read.ts';
import type { Credentials } from '../postgres/credentials.ts';
import { loadTls } from '../postgres/tls.ts';
import { Failure } from '../report/errors.ts';
import { createRedactor, type Redactor } from '../report/redact.ts';
import type { Spec } from '../spec/types.ts';

/** What it takes to get into any node of the cluster; read once per run. */
export interface Access extends Credentials {
  /** Knows the password, and every secret that is read later. */
  readonly redactor: Redactor;
}

export async function loadAccess(
  spec: Pick<Spec, 'cluster' | 'ssl'>,
  redactor: Redactor = createRedactor(),
  onStatement?: Access['onStatement'],
): Promise<Access> {
  const { user, passwordFile, acceptServerWithoutProof } = spec.cluster;
  const password = passwordFile === undefined ? undefined : await readPasswordFile(passwordFile, redactor);
  return { user, password, tls: await loadTls(spec.ssl), acceptServerWithoutProof, redactor, onStatement };
}

/** The least that PostgreSQL's own module for passwords accepts. */
const SHORTEST_PASSWORD = 8;

/**
 * The file's content is the password, save for one newline at its end, which editors and `echo` leave there. Several
 * lines are refused: a password with a newline in it is almost always the wrong file.
 */
export async function readPasswordFile(path: string, redactor: Redactor): Promise<string> {
  const password = (await readUtf8(path)).replace(/\r?\n$/, '');
  redactor.add(password);
  const next = 'Put the password, and nothing else, into that file';
  if (password === '') throw new Failure({ kind: 'invalid', what: `The password file ${path} is empty`, next });
  if (/[\r\n\0]/.test(password)) {
    throw new Failure({ kind: 'invalid', what: `The password file ${path} holds more than one line`, next });
  }
  if ([...password].length < SHORTEST_PASSWORD) {
    throw new Failure({
      kind: 'invalid',
      what: `The password in the file ${path} has fewer than ${SHORTEST_PASSWORD} characters`,
      next: 'Choose a longer one: so short a password is soon guessed, and hiding it in the log would hide ordinary words',
    });
  }
  return password;
}

async function readUtf8(path: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readBounded(path, { mostBytes: SHORT }));
  } catch (error) {
    throw new Failure(
      {
        kind: 'invalid',
        what: `The password file ${path} cannot be read`,
        cause: error instanceof Error ? error.message : String(error),
        next: 'Check the path, the mounted Secret, and that the file may be read by the user who runs this program',
      },
      { cause: error },
    );
  }
}
