import { describe, expect, test } from 'vitest';
import { parseSpec } from '../../src/spec/parse.ts';
import { at, decoded, named, refusal, render } from '../support/chart.ts';

/** SQL in ConfigMaps and Secrets: mounted where the spec says, and refused where it cannot be right. */

const tables = { configMap: 'orders-sql', key: 'tables.sql' };
const keys = { secret: 'orders-keys', key: 'keys.sql' };
const job = 'citusdemo-create-db-orders';

function entry(...initSQLFrom: readonly object[]): object {
  return { additionalDatabases: [{ name: 'orders', initSQL: 'SELECT 1;', initSQLFrom }] };
}

describe('initSQLFrom', () => {
  test('is what the program reads, mounted in the Job and for verify', () => {
    const objects = render({ values: { ...entry(tables, keys) } });
    const { databases } = parseSpec(decoded(named(objects, 'Secret', job), 'spec.yaml'), job);
    expect(databases[0]?.initSQLFrom).toEqual([
      { file: '/etc/citus-databases/sql/configmap/orders-sql/tables.sql', secret: false },
      { file: '/etc/citus-databases/sql/secret/orders-keys/keys.sql', secret: true },
    ]);
    for (const name of [job, 'citusdemo-verify']) {
      const pod = at(named(objects, 'Job', name), 'spec.template.spec');
      expect(at(pod, 'containers.0.volumeMounts')).toContainEqual({
        name: 'sql',
        mountPath: '/etc/citus-databases/sql',
        readOnly: true,
      });
      expect(at(pod, 'volumes')).toContainEqual({
        name: 'sql',
        projected: {
          defaultMode: 0o440,
          sources: [
            source('configMap', 'orders-sql', 'tables.sql', 'configmap'),
            source('secret', 'orders-keys', 'keys.sql', 'secret'),
          ],
        },
      });
    }
  });

  test('leaves no trace where it is not used', () => {
    const objects = render({ values: { additionalDatabases: [{ name: 'orders' }] } });
    expect(JSON.stringify(objects)).not.toContain('/etc/citus-databases/sql');
  });

  test.each([
    [{ key: 'a.sql' }, 'additionalDatabases[0].initSQLFrom[0]: name either a configMap or a secret.'],
    [
      { configMap: 'a', secret: 'b', key: 'a.sql' },
      'additionalDatabases[0].initSQLFrom[0]: name either a configMap or a secret.',
    ],
    [{ configMap: 'a' }, "missing property 'key'"],
    [{ configMap: 'a', key: '../etc' }, 'does not match pattern'],
    [{ file: '/etc/passwd', key: 'x' }, "additional properties 'file' not allowed"],
  ])('refuses %j at render', (wrong, message) => {
    expect(refusal({ ...entry(wrong) })).toContain(message);
  });

  test('refuses the same key twice: a script has each statement once', () => {
    expect(refusal({ ...entry(tables, tables) })).toContain(
      'key "tables.sql" of configMap "orders-sql" is listed twice.',
    );
  });
});

function source(kind: string, name: string, key: string, folder: string): object {
  return { [kind]: { name, optional: true, items: [{ key, path: `${folder}/${name}/${key}` }] } };
}
