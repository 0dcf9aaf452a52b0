import { describe, expect, test } from 'vitest';
import { imageProblem, readImageVersions } from '../../../src/objects/serverImage.ts';

const control =
  "# Citus extension\ncomment = 'Citus distributed database'\ndefault_version = '14.0-1'\nrelocatable = false\n";

describe('what an image of the servers says of itself', () => {
  test.each([
    [control, 'postgres (PostgreSQL) 17.6 (Debian 17.6-2.pgdg13+1)\n', { postgres: 17, citus: '14.0-1' }],
    [control, 'postgres (PostgreSQL) 19devel\n', { postgres: 19, citus: '14.0-1' }],
    ['', '', { postgres: undefined, citus: undefined }],
  ])('%#', (text, version, expected) => {
    expect(readImageVersions(text, version)).toEqual(expected);
  });
});

describe('whether the image fits the data', () => {
  const databases = [
    { database: 'citus', citus: '13.2-1' },
    { database: 'shop', citus: '14.0-1' },
  ];

  test.each([
    ['the same', { postgres: 17, citus: '14.0-1' }],
    ['a newer Citus', { postgres: 17, citus: '14.1-1' }],
    ['an image that does not say', { postgres: undefined, citus: undefined }],
  ])('%s', (_, image) => {
    expect(imageProblem('citus:1', image, { postgres: 17, databases })).toBeUndefined();
  });

  test('an older Citus, which names the databases that it could not work with', () => {
    expect(imageProblem('citus:1', { postgres: 17, citus: '13.2-1' }, { postgres: 17, databases })).toMatchObject({
      kind: 'refused',
      what: 'The databases have a newer citus than citus:1, which has 13.2-1',
      cause: "'shop' has citus 14.0-1",
    });
  });

  test.each([16, 18])('another major version: %i', (postgres) => {
    expect(imageProblem('citus:1', { postgres, citus: '14.0-1' }, { postgres: 17, databases: [] })).toMatchObject({
      kind: 'refused',
      what: `The data belongs to PostgreSQL 17, and citus:1 has PostgreSQL ${postgres}`,
      next: expect.stringContaining('a new major version is not a change of the image'),
    });
  });
});
