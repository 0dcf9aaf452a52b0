import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
// @ts-expect-error: a script without types
import { specReference } from '../../../scripts/spec-docs.mjs';
import { specJsonSchema } from '../../../src/spec/jsonSchema.ts';

interface Schema {
  readonly [keyword: string]: unknown;
}

describe('schema/spec.schema.json', () => {
  const schema = specJsonSchema();

  test('is up to date (node scripts/generate-spec-schema.mjs)', () => {
    const file = new URL('../../../schema/spec.schema.json', import.meta.url);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(schema)));
  });

  test('docs/SPEC.md is made of it (node scripts/generate-spec-schema.mjs)', () => {
    const file = new URL('../../../docs/SPEC.md', import.meta.url);
    expect(readFileSync(file, 'utf8')).toBe(specReference(JSON.parse(JSON.stringify(schema))));
  });

  test('describes every property, and closes every mapping of known keys', () => {
    const properties = propertiesOf(schema, '');
    expect(properties.length).toBeGreaterThan(60);
    expect(properties.filter(({ schema }) => typeof schema['description'] !== 'string').map(({ at }) => at)).toEqual(
      [],
    );
    const open = objectsOf(schema).filter((object) => object['additionalProperties'] !== false);
    expect(open).toEqual([]);
  });

  test('keeps the names and defaults that users know', () => {
    const defaults = propertiesOf(schema, '')
      .filter(({ at }) => /^\/\$defs\/listedDatabase\/\w+$/.test(at))
      .map(({ at, schema }) => [at.replace(/^.*\//, ''), schema['default']]);
    expect(Object.fromEntries(defaults)).toMatchObject({
      owner: 'postgres',
      maxAttempts: 60,
      retryDelaySeconds: 5,
      backoffLimit: 3,
      extensions: [],
      initSQLPolicy: 'once',
    });
  });

  test('requires what parseSpec requires', () => {
    expect(schema).toMatchObject({
      required: ['cluster'],
      properties: { cluster: { required: ['coordinator'], properties: { coordinator: { required: ['host'] } } } },
      $defs: { listedDatabase: { required: ['name'] } },
    });
    expect(JSON.stringify(schema)).not.toContain('"keyedDatabase":{"type":"object","required"');
  });
});

function propertiesOf(value: unknown, at: string): readonly { readonly at: string; readonly schema: Schema }[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = `${at}/${key}`;
    if (key !== 'properties') return propertiesOf(inner, here);
    const properties = Object.entries(inner as Record<string, Schema>);
    return properties.flatMap(([name, schema]) => [
      { at: `${at}/${name}`, schema },
      ...propertiesOf(schema, `${at}/${name}`),
    ]);
  });
}

function objectsOf(value: unknown): readonly Schema[] {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.values(value).flatMap(objectsOf);
  return 'properties' in value ? [value as Schema, ...inner] : inner;
}
