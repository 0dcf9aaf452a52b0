import { describe, expect, test } from 'vitest';
import { messageOf, nodes, parse, problemsOf } from './support.ts';

describe('text that is no document', () => {
  test('gives line, column and a reason', () => {
    expect(messageOf('cluster:\n  name: [a\n')).toMatchInlineSnapshot(`
      "The spec has 1 problem (spec.yaml):
        line 3, column 1: flow sequence in block collection must be sufficiently indented and end with a ]
        Next: Correct the spec, or the values it was rendered from, and run again."
    `);
  });

  test.each([
    ['a tab', 'cluster:\n\tname: a\n', 'line 2, column 1: tabs are not allowed as indentation'],
    ['two documents', 'a: 1\n---\nb: 2\n', 'line 2, column 1: a second document begins here; the spec is one document'],
    [
      'an end and a new document',
      'a: 1\n...\nb: 2\n',
      'line 3, column 1: a second document begins here; the spec is one document',
    ],
    ['two values', 'cluster: "a" "b"\n', 'line 1, column 14: unexpected double-quoted-scalar at node end'],
    [
      'an unknown tag',
      'cluster:\n  name: !env HOME\n',
      'line 2, column 9: a tag that means nothing here; text that begins with ! needs quotes',
    ],
    [
      'an unknown tag on a mapping',
      'cluster: !ruby/object {}\n',
      'line 1, column 10: a tag that means nothing here; text that begins with ! needs quotes',
    ],
    [
      'a known tag that is not plain data',
      'cluster: !!binary aGVsbG8=\n',
      'cluster: has a tag that means nothing here; text that begins with ! needs quotes (line 1, column 19)',
    ],
    [
      'a set',
      'cluster: !!set { a, b }\n',
      'cluster: has a tag that means nothing here; text that begins with ! needs quotes (line 1, column 16)',
    ],
    [
      'a colon',
      'cluster: a: b\n',
      'line 1, column 10: a second "key: value" on the same line; text that holds ": " needs quotes',
    ],
    [
      'a backslash',
      'cluster: "\\d"\n',
      'line 1, column 11: an escape sequence that YAML does not know; a backslash in double quotes must be doubled',
    ],
    ['a NUL character', 'cluster:\n  na\0me: x\n', 'line 2, column 5: NUL character; the spec must be UTF-8 text'],
    [
      'an escaped NUL character',
      'cluster: { name: "a\\0b", coordinator: { host: c } }\n',
      'cluster.name: holds a NUL character, which PostgreSQL cannot store (line 1, column 18)',
    ],
    [
      'half a character',
      'cluster: { name: "a\\ud800", coordinator: { host: c } }\n',
      'cluster.name: holds half a character (a lone surrogate), which is no UTF-8 (line 1, column 18)',
    ],
    [
      'duplicate keys',
      'cluster:\n  coordinator: { host: a }\n  coordinator: { host: b }\n',
      'cluster.coordinator: is given twice (line 3, column 3)',
    ],
    [
      'duplicate keys, differently quoted',
      'cluster: { "coordinator": { host: a }, coordinator: { host: b } }\n',
      'cluster.coordinator: is given twice (line 1, column 40)',
    ],
    [
      'a key that is a list',
      'cluster: { coordinator: { host: a }, ? [a] : b }\n',
      'cluster: has a key that is not text (line 1, column 40)',
    ],
    [
      'a key that is missing',
      'cluster: { coordinator: { host: a }, : b }\n',
      'cluster: has a key that is not text (line 1, column 38)',
    ],
    [
      'a key with a hidden meaning',
      'cluster: { coordinator: { host: a }, __proto__: { citus: false } }\n',
      'cluster.__proto__: cannot be a key (line 1, column 38)',
    ],
    [
      'a merge key',
      'cluster: { <<: { citus: false }, coordinator: { host: a } }\n',
      "cluster['<<']: is the merge key of YAML 1.1, which YAML 1.2 does not have; write the fields out (line 1, column 12)",
    ],
    [
      'an alias without an anchor',
      'cluster: *none\n',
      'cluster: is an alias without an anchor before it; text that begins with * needs quotes (line 1, column 10)',
    ],
    [
      'an alias inside itself',
      'cluster: &a { coordinator: { host: c }, workers: *a }\n',
      'cluster.workers: is an alias inside what it stands for (line 1, column 50)',
    ],
    [
      'an old YAML version',
      '%YAML 1.1\n---\ncluster: { coordinator: { host: c } }\n',
      'line 1, column 1: a directive that means nothing here; only %YAML 1.2 does',
    ],
    [
      'an unknown directive',
      '%FOO bar\n---\ncluster: { coordinator: { host: c } }\n',
      'line 1, column 1: a directive that means nothing here; only %YAML 1.2 does',
    ],
    ['nothing', '', 'the document is empty'],
    ['only a comment', '# nothing\n', 'the document is empty'],
    ['null', '~', 'the document is empty'],
    ['text', 'hello', 'the document must be a mapping, not text'],
    ['a list', '- cluster', 'the document must be a mapping, not a list'],
  ])('%s', (_, text, expected) => {
    expect(problemsOf(text)).toEqual([expected]);
  });

  test('never quotes the document, which may hold passwords', () => {
    const secrets = [
      'a: "x" hunter2\n',
      'a: !hunter2 x\n',
      'a: *hunter2\n',
      'a: |hunter2\n x\n',
      'a: "\\qhunter2"\n',
      '%hunter2 x\n---\na: b\n',
      'a: b: hunter2\n',
      'cluster: { passwordFile: [hunter2] }\n',
      'databases: { a: { initSQL: [hunter2], owner: { x: hunter2 }, maxAttempts: hunter2 } }\n',
      ']hunter2\n',
      'a: [hunter2}\n',
      'a: @hunter2\n',
    ];
    for (const text of secrets) expect(messageOf(text)).not.toContain('hunter2');
  });
});

describe('text that is a document', () => {
  test('may have a byte order mark, CRLF, comments, a start and an end mark', () => {
    const plain = parse(nodes);
    expect(parse(`\uFEFF${nodes}`)).toEqual(plain);
    expect(parse(nodes.replaceAll('\n', '\r\n'))).toEqual(plain);
    expect(parse(`# first\n%YAML 1.2\n---${nodes}...\n# last\n`)).toEqual(plain);
  });

  test('resolves aliases to the latest anchor before them', () => {
    const spec = parse(`${nodes}databases:
      - { name: &n first, extensions: &e [hstore] }
      - { name: second, owner: *n, extensions: *e }
      - { name: &n third }
      - { name: fourth, owner: *n }`);
    expect(spec.databases.map(({ owner }) => owner)).toEqual(['postgres', 'first', 'postgres', 'third']);
    expect(spec.databases[1]?.extensions).toEqual(spec.databases[0]?.extensions);
  });

  test('keeps keys of a mapping as they are written', () => {
    const spec = parse(`${nodes}databases: { 0x10: , yes: {}, 1_0: {}, 007: {}, null: {}, constructor: {} }`);
    expect(spec.databases.map(({ name }) => name)).toEqual(['yes', '1_0', '007', 'null', 'constructor']);
  });
});

/** CPU time in milliseconds. */
function cpuTime(action: () => void): number {
  const before = process.cpuUsage();
  action();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Work of the same nature (objects made from text), which takes about 0.2 s of CPU on an idle machine of 2020 and later. */
function yardstick(): void {
  const objects = Array.from({ length: 60_000 }, (_, index) => ({
    id: index,
    name: `n${index}`,
    tags: ['a', `b${index}`],
  }));
  for (let round = 0; round < 2; round += 1) JSON.parse(JSON.stringify(objects));
}

/**
 * CPU time spent on the text, in yardsticks. Even CPU time grows threefold when others share the processor's cores, so
 * the yardstick is measured at the same moment: five of them are a second on an idle machine.
 */
function cost(text: string): number {
  const before = cpuTime(yardstick);
  const spent = cpuTime(() => {
    try {
      parse(text);
    } catch {
      // Whether it is accepted is not the question here.
    }
  });
  return spent / Math.max(before, cpuTime(yardstick));
}

describe('large and hostile documents', () => {
  const databases = Array.from(
    { length: 1000 },
    (_, index) => `  - name: db${index}
    owner: app
    maxAttempts: 60
    workerGroups: ["1", "2"]
    extensions: [postgis, { name: pg_partman, schema: partman, version: "4.7.2" }]
    schemas: [{ name: analytics, owner: app }]
    parameters: { timezone: UTC, search_path: "analytics,public" }
    initSQL: |
      CREATE TABLE analytics.t (id bigint);
      SELECT create_distributed_table('analytics.t', 'id');
`,
  );
  const listed = `${nodes}databases:\n${databases.join('')}`;
  const keyed = `${nodes}databases:\n${databases
    .join('')
    .replaceAll('  - name: db', '  db')
    .replaceAll(/^( {2}db\d+)$/gm, '$1:')}`;
  const script = `${nodes}databases:\n  - name: a\n    initSQL: |\n${'      INSERT INTO t VALUES (1, 2, 3);\n'.repeat(270_000)}`;

  test('takes 1,000 databases, and 10 MB of initSQL', () => {
    expect(parse(listed).databases).toHaveLength(1000);
    expect(parse(keyed).databases).toEqual(parse(listed).databases);
    const large = parse(script).databases[0]?.initSQL ?? '';
    expect(large.length).toBeGreaterThan(8_000_000);
  });

  test('takes about half a second for them', () => {
    for (const text of [listed, keyed, script]) expect(cost(text)).toBeLessThan(6);
  });

  const laughs = Array.from(
    { length: 30 },
    (_, i) => `l${i}: &l${i} [${i === 0 ? 'x' : `${`*l${i - 1},`.repeat(10)}`}]\n`,
  );
  test.each([
    ['billion laughs', 'holds more than 300000 values, aliases included', laughs.join('')],
    ['nested flow', 'nested too deeply', `a: ${'['.repeat(100_000)}`],
    ['nested less deeply', 'is nested too deeply', `a: ${'['.repeat(300)}${']'.repeat(300)}`],
    ['nested sequences', 'nested too deeply', `${'- '.repeat(90_000)}x`],
    ['nested keys', 'nested too deeply', `${'? '.repeat(90_000)}x`],
    [
      'nested indentation',
      'nested too deeply',
      Array.from({ length: 4000 }, (_, i) => `${' '.repeat(i)}a:\n`).join(''),
    ],
    ['many keys', 'has more than', Array.from({ length: 800_000 }, (_, i) => `a${i}: b\n`).join('')],
    [
      'as many keys as are taken',
      'The spec has 28001 problems',
      Array.from({ length: 28_000 }, (_, i) => `a${i}: b\n`).join(''),
    ],
    ['as many wrong entries as are taken', 'The spec has 65001 problems', `databases: [${'1,'.repeat(65_000)}]`],
    [
      'as many mistyped keys as are taken',
      'The spec has 28001 problems',
      `${nodes}databases: [{${Array.from({ length: 28_000 }, (_, i) => `owner${i}: ,`).join('')}}]`,
    ],
    [
      'as many wrong groups as are taken',
      'The spec has 65000 problems',
      `${nodes}databases: [{name: a, workerGroups: [${'x,'.repeat(65_000)}]}]`,
    ],
    ['as many errors as are taken', 'line 1, column 4: a second', 'a: b: c\n'.repeat(18_000)],
    ['many documents', 'line 2, column 1: a second document', '---\n'.repeat(90_000)],
    ['a broken quoted text of many lines', 'has more than 200000 YAML tokens', `a: "${'x\n'.repeat(400_000)}"`],
    ['wrong escapes', 'line 1, column 5: an escape sequence', `a: "${'\\q'.repeat(5_000_000)}"`],
    ['empty lines', 'has more than 500000 lines', `a: >\n${'\n'.repeat(9_000_000)} x\n`],
    ['blanks', 'cluster: is required', `a: b${' '.repeat(9_000_000)}c`],
    ['a long key', 'at most 1024 chars', `${'x'.repeat(9_000_000)}: 1`],
    ['comments', 'has more than 500000 lines', '# x\n'.repeat(2_000_000)],
    ['more than 10 MB', 'larger than 10 MB', 'x'.repeat(11 * 1024 * 1024)],
  ])('refuses %s in time', (_, expected, text) => {
    expect(messageOf(text)).toContain(expected);
    // The slowest takes under ten: a second and a quarter on an idle machine.
    expect(cost(text)).toBeLessThan(19);
  });
});
