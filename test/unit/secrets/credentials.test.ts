import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRedactor } from '../../../src/report/redact.ts';
import { readPasswordFile } from '../../../src/secrets/credentials.ts';

describe('readPasswordFile', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'citus-databases-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  async function read(content: string | Buffer) {
    const path = join(directory, 'password');
    await writeFile(path, content);
    const redactor = createRedactor();
    return { password: await readPasswordFile(path, redactor), redactor };
  }

  test.each([
    ['a secret', 'a secret'],
    ['a secret\n', 'a secret'],
    ['a secret\r\n', 'a secret'],
    [' blanks stay ', ' blanks stay '],
    ['pässwörd', 'pässwörd'],
  ])('%j is %j', async (content, expected) => {
    const { password, redactor } = await read(content);
    expect(password).toBe(expected);
    expect(redactor.redact(`<${expected}>`)).toBe('<[redacted]>');
  });

  test.each<[string, string | Buffer, string]>([
    ['nothing', '', 'is empty'],
    ['a newline only', '\n', 'is empty'],
    ['two newlines at the end', 'secret\n\n', 'holds more than one line'],
    ['two lines', 'secret\nmore', 'holds more than one line'],
    ['a zero byte', 'sec\0ret', 'holds more than one line'],
    ['no UTF-8', Buffer.from([0xff, 0xfe]), 'cannot be read'],
  ])('%s is refused', async (_, content, what) => {
    await expect(read(content)).rejects.toMatchObject({
      details: { kind: 'invalid', what: `The password file ${join(directory, 'password')} ${what}` },
    });
  });

  test.each(['1234567', 'postgre\n', 'ü'.repeat(7)])('%j is too short', async (content) => {
    await expect(read(content)).rejects.toMatchObject({
      details: {
        kind: 'invalid',
        what: `The password in the file ${join(directory, 'password')} has fewer than 8 characters`,
      },
    });
  });

  test('no file', async () => {
    await expect(readPasswordFile(join(directory, 'none'), createRedactor())).rejects.toMatchObject({
      details: { kind: 'invalid', cause: expect.stringContaining('ENOENT') },
    });
  });
});
