import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { Failure } from '../../../src/report/errors.ts';
import { parseSpec } from '../../../src/spec/parse.ts';
import { database, databaseProblems, messageOf, nodes, parse, problemsOf } from './support.ts';

describe('a good spec', () => {
  test('has every default filled in', () => {
    expect(parse('cluster: { coordinator: { host: c } }\ndatabases: [{ name: myapp }]')).toEqual({
      cluster: {
        name: 'citus',
        citus: true,
        user: 'postgres',
        passwordFile: undefined,
        acceptServerWithoutProof: false,
        withoutSuperuser: false,
        acceptUndeclaredNodes: false,
        database: 'citus',
        coordinator: { group: 0, host: 'c', port: 5432, nodeName: 'c', nodePort: 5432 },
        workers: undefined,
      },
      ssl: {
        enabled: false,
        mode: 'prefer',
        directory: '/etc/citus-databases/ssl',
        ca: 'ca.crt',
        certificate: 'server.crt',
        key: 'server.key',
        nodeDirectory: '/etc/ssl/certs/postgresql',
      },
      databases: [
        {
          name: 'myapp',
          owner: 'postgres',
          maxAttempts: 60,
          retryDelaySeconds: 5,
          backoffLimit: 3,
          workerGroups: undefined,
          extensions: [],
          schemas: [],
          parameters: {},
          users: [],
          encoding: undefined,
          locale: undefined,
          template: undefined,
          connectionLimit: undefined,
          comment: undefined,
          rebalance: {
            when: 'never',
            options: {
              strategy: undefined,
              transferMode: undefined,
              parallelReferenceTables: false,
              parallelColocatedShards: false,
            },
          },
          shouldHaveShards: {},
          initSQLFrom: [],
          initSQLPolicy: 'once',
          initSQLRunsCodeOfOthers: false,
          initSQL: undefined,
        },
      ],
    });
  });

  test('keeps everything that is given', () => {
    const spec = parse(`
cluster:
  name: citusdemo
  user: admin
  passwordFile: /etc/citus-databases/superuser/password
  database: main
  coordinator: { group: "0", host: citusdemo-0, port: 5600 }
  workers:
    - { group: 2, host: localhost, port: 5602, nodeName: citus_worker2, nodePort: 5432 }
    - { group: "1", host: /run/postgresql, nodePort: 1 }
ssl: { enabled: true, mode: verify-full, directory: certs, ca: a, certificate: b, key: c, nodeDirectory: /d }
databases:
  - name: skymap
    owner: app
    maxAttempts: 1
    retryDelaySeconds: 0.5
    backoffLimit: 0
    workerGroups: ["1", 2]
    extensions: [postgis, citus, { name: pg_partman, schema: partman, version: "4.7.2" }]
    schemas: [raw, { name: analytics, owner: app }]
    parameters: { TimeZone: UTC, pg_partman_bgw.interval: 3600, jit: false, search_path: "a,b", empty: "" }
    encoding: UTF8
    locale: en_US.UTF-8
    template: template0
    connectionLimit: -1
    initSQLPolicy: always
    initSQL: |
      CREATE TABLE a (id int);
`);
    expect(spec.cluster).toEqual({
      name: 'citusdemo',
      citus: true,
      user: 'admin',
      passwordFile: '/etc/citus-databases/superuser/password',
      acceptServerWithoutProof: false,
      withoutSuperuser: false,
      acceptUndeclaredNodes: false,
      database: 'main',
      coordinator: { group: 0, host: 'citusdemo-0', port: 5600, nodeName: 'citusdemo-0', nodePort: 5600 },
      workers: [
        { group: 1, host: '/run/postgresql', port: 5432, nodeName: '/run/postgresql', nodePort: 1 },
        { group: 2, host: 'localhost', port: 5602, nodeName: 'citus_worker2', nodePort: 5432 },
      ],
    });
    expect(spec.ssl).toEqual({
      enabled: true,
      mode: 'verify-full',
      directory: 'certs',
      ca: 'a',
      certificate: 'b',
      key: 'c',
      nodeDirectory: '/d',
    });
    expect(spec.databases).toEqual([
      {
        name: 'skymap',
        owner: 'app',
        maxAttempts: 1,
        retryDelaySeconds: 0.5,
        backoffLimit: 0,
        workerGroups: [1, 2],
        users: [],
        extensions: [
          { name: 'postgis', version: undefined, schema: undefined },
          { name: 'pg_partman', version: '4.7.2', schema: 'partman' },
        ],
        schemas: [
          { name: 'raw', owner: undefined, distributed: false },
          { name: 'analytics', owner: 'app', distributed: false },
        ],
        parameters: {
          timezone: 'UTC',
          'pg_partman_bgw.interval': '3600',
          jit: 'false',
          search_path: 'a,b',
          empty: '',
        },
        encoding: 'UTF8',
        locale: 'en_US.UTF-8',
        template: 'template0',
        connectionLimit: -1,
        rebalance: {
          when: 'never',
          options: {
            strategy: undefined,
            transferMode: undefined,
            parallelReferenceTables: false,
            parallelColocatedShards: false,
          },
        },
        shouldHaveShards: {},
        initSQLFrom: [],
        initSQLPolicy: 'always',
        initSQLRunsCodeOfOthers: false,
        initSQL: 'CREATE TABLE a (id int);\n',
      },
    ]);
  });

  test('may be a mapping, whose null entries are absent', () => {
    const listed = parse(`${nodes}databases: [{ name: a, owner: x }, { name: b }]`);
    expect(parse(`${nodes}databases: { a: { owner: x }, gone: null, b: {} }`)).toEqual(listed);
    expect(parse(`${nodes}additionalDatabases: { a: { owner: x, name: a }, b: {} }`)).toEqual(listed);
    expect(parse(`${nodes}databases:\nadditionalDatabases: [{ name: a, owner: x }, { name: b }]`)).toEqual(listed);
    expect(parse(nodes).databases).toEqual([]);
  });

  test('takes null for every optional field as if the key were not there', () => {
    const fields = Object.keys(database('{ name: a }')).filter((field) => field !== 'name');
    expect(database(`{ name: a, ${fields.map((field) => `${field}: `).join(', ')} }`)).toEqual(database('{ name: a }'));
    expect(
      parse('cluster: { coordinator: { host: c, port: , nodeName: , group: }, workers: , citus: , user: }\nssl: '),
    ).toEqual(parse('cluster: { coordinator: { host: c } }'));
  });

  test('may be plain PostgreSQL', () => {
    const spec = parse('cluster: { citus: false, coordinator: { host: c }, workers: [] }\ndatabases: { citus: {} }');
    expect(spec.cluster).toMatchObject({ citus: false, database: 'postgres', workers: [] });
    expect(spec.databases[0]?.name).toBe('citus');
  });

  test.each(['my-db', 'Üñí', 'a"b', "a'b", 'select', 'a b', 'ü'.repeat(31), 'x'.repeat(63), '\u{1f600}'])(
    'takes %s as a name',
    (name) => {
      const quoted = JSON.stringify(name);
      const made = database(`{ name: ${quoted}, owner: ${quoted}, schemas: [${quoted}] }`);
      expect(made).toMatchObject({ name, owner: name, schemas: [{ name }] });
    },
  );

  test.each([
    ['', 'prefer'],
    ['enabled: true', 'verify-ca'],
    ['enabled: true, mode: disable', 'disable'],
    ['enabled: false, mode: verify-full', 'prefer'],
    ['enabled: false, mode: require', 'require'],
    ['mode: require', 'require'],
  ])('ssl { %s } has mode %s', (fields, mode) => {
    expect(parse(`${nodes}ssl: { ${fields} }`).ssl.mode).toBe(mode);
  });

  test('has no initSQL when there is only white space', () => {
    expect(database('{ name: a, initSQL: " \\n" }').initSQL).toBeUndefined();
  });
});

describe('a bad spec', () => {
  test('is told about all at once', () => {
    expect(
      messageOf(`
clutser: 1
cluster:
  citus: "yes"
  workers: [{ group: 0, host: "w 2" }, { group: "1", host: w1, port: 99999 }, { group: 1, host: W1 }, 4]
ssl: { mode: verify_ca }
databases:
  - name: postgres
    ownr: x
    owner: pg_monitor
    workerGroups: []
    extensions: [postgis, { name: pg_partman, version: 4.7, schma: a }]
  - { name: a, workerGroups: [1, 7], owner: x, owner: y }
  - name: a
  - null
`),
    ).toMatchInlineSnapshot(`
      "The spec has 18 problems (spec.yaml):
        cluster.citus: must be true or false, not text
        cluster.coordinator: is required
        cluster.workers[0].group: group 0 is the coordinator; workers begin with group 1
        cluster.workers[0].host: 'w 2' holds white space, which no host name does
        cluster.workers[1].port: 99999 is too big; the most is 65535
        cluster.workers[2].group: group 1 is also the group of cluster.workers[1]
        cluster.workers[3]: must be a mapping, not 4
        ssl.mode: 'verify_ca' is none of disable, allow, prefer, require, verify-ca, verify-full; did you mean verify-ca?
        databases[0].name: 'postgres' belongs to PostgreSQL itself and cannot be managed here
        databases[0].owner: 'pg_monitor' is a reserved role name (names that begin with pg_ belong to PostgreSQL)
        databases[0].workerGroups: is empty: name the worker groups that hold this database, or leave the key out to take all of them
        databases[0].extensions[1].version: must be text: write it in quotes, because YAML reads 4.10 as the number 4.1
        databases[0].extensions[1].schma: unknown key; did you mean schema?
        databases[0].ownr: unknown key; did you mean owner?
        databases[1].owner: is given twice (line 13, column 48)
        databases[2].name: 'a' is also the name of databases[1]
        databases[3]: is empty
        clutser: unknown key; did you mean cluster?
        Next: Correct the spec, or the values it was rendered from, and run again."
    `);
  });

  test.each([
    ['{}', ['databases[0].name: is required']],
    ['{ name: }', ['databases[0].name: is empty']],
    ['{ name: "" }', ['databases[0].name: is empty']],
    ['{ name: 7 }', ['databases[0].name: must be text, not 7; write it in quotes']],
    ['{ name: [a] }', ['databases[0].name: must be text, not a list']],
    [
      `{ name: ${'ü'.repeat(32)} }`,
      [`databases[0].name: '${'ü'.repeat(32)}' is 64 bytes long in UTF-8; PostgreSQL's limit for names is 63`],
    ],
    ['{ name: template0 }', ["databases[0].name: 'template0' belongs to PostgreSQL itself and cannot be managed here"]],
    ['{ name: template1 }', ["databases[0].name: 'template1' belongs to PostgreSQL itself and cannot be managed here"]],
    ['{ name: citus }', ["databases[0].name: 'citus' is cluster.database, which Patroni manages"]],
    ['{ name: a, owner: public }', ["databases[0].owner: 'public' is a reserved role name (a key word of PostgreSQL)"]],
    ['{ name: a, owner: none }', ["databases[0].owner: 'none' is a reserved role name (a key word of PostgreSQL)"]],
    ['{ name: a, maxAttempts: 0 }', ['databases[0].maxAttempts: 0 is too small; the least is 1']],
    ['{ name: a, maxAttempts: 1.5 }', ['databases[0].maxAttempts: must be a whole number, not 1.5']],
    ['{ name: a, maxAttempts: "5" }', ['databases[0].maxAttempts: must be a number, not text']],
    ['{ name: a, retryDelaySeconds: -1 }', ['databases[0].retryDelaySeconds: -1 is too small; the least is 0']],
    ['{ name: a, retryDelaySeconds: .inf }', ['databases[0].retryDelaySeconds: must be a number, not Infinity']],
    ['{ name: a, backoffLimit: -1 }', ['databases[0].backoffLimit: -1 is too small; the least is 0']],
    ['{ name: a, connectionLimit: -2 }', ['databases[0].connectionLimit: -2 is too small; the least is -1']],
    [
      '{ name: a, workerGroups: ["0"] }',
      ['databases[0].workerGroups[0]: group 0 is the coordinator; workers begin with group 1'],
    ],
    [
      '{ name: a, workerGroups: [3] }',
      ['databases[0].workerGroups[0]: there is no worker group 3; the groups are 1, 2'],
    ],
    ['{ name: a, workerGroups: [1, "1"] }', ['databases[0].workerGroups[1]: group 1 is listed twice']],
    ['{ name: a, workerGroups: [one] }', ["databases[0].workerGroups[0]: 'one' is no group number"]],
    ['{ name: a, workerGroups: 1 }', ['databases[0].workerGroups: must be a list, not 1']],
    ['{ name: a, extensions: [hstore, { name: hstore }] }', ["databases[0].extensions[1]: 'hstore' is listed twice"]],
    [
      '{ name: a, extensions: [a--b] }',
      [
        "databases[0].extensions[0]: 'a--b' cannot be an extension name: it holds a slash or --, or begins or ends with -",
      ],
    ],
    ['{ name: a, extensions: [{ name: a, version: "" }] }', ['databases[0].extensions[0].version: is empty']],
    [
      '{ name: a, extensions: [{ name: citus, version: "13" }] }',
      ["databases[0].extensions[0]: 'citus' takes no version and no schema: it follows the library the servers load"],
    ],
    [
      '{ name: a, extensions: [1] }',
      ["databases[0].extensions[0]: must be an extension's name, or a mapping with name, version and schema"],
    ],
    [
      '{ name: a, schemas: [pg_x] }',
      ["databases[0].schemas[0]: 'pg_x' is a reserved name (schemas that begin with pg_ belong to PostgreSQL)"],
    ],
    ['{ name: a, schemas: [x, { name: x }] }', ["databases[0].schemas[1]: 'x' is listed twice"]],
    [
      '{ name: a, shouldHaveShards: { x: true } }',
      ['databases[0].shouldHaveShards.x: is no group: 0 is the coordinator, the others are those of cluster.workers'],
    ],
    ['{ name: a, rebalance: now }', ["databases[0].rebalance: 'now' is none of never, afterJoin"]],
    ['{ name: a, parameters: { work_mem: } }', ['databases[0].parameters.work_mem: is empty']],
    [
      '{ name: a, parameters: { "a b": 1 } }',
      [
        "databases[0].parameters['a b']: is no parameter name (letters, digits and underscores, with a dot after the name of an extension)",
      ],
    ],
    [
      '{ name: a, parameters: { TimeZone: x, timezone: y } }',
      [
        'databases[0].parameters.timezone: names the parameter timezone a second time (PostgreSQL does not tell case apart)',
      ],
    ],
    [
      '{ name: a, parameters: { x: 12345678901234567890 } }',
      ['databases[0].parameters.x: is a number too large for YAML to keep all its digits: write it in quotes'],
    ],
    ['{ name: a, encoding: "UTF 8" }', ["databases[0].encoding: 'UTF 8' is no encoding's name (UTF8 is one)"]],
    ['{ name: a, locale: "a b" }', ["databases[0].locale: 'a b' is no locale's name (C and en_US.UTF-8 are)"]],
    ['{ name: a, template: a }', ['databases[0].template: is the database itself']],
    [
      '{ name: a, initSQLPolicy: onec }',
      ["databases[0].initSQLPolicy: 'onec' is none of once, always, adopt, baseline; did you mean once?"],
    ],
    [
      '{ name: a, initSQL: "a\\0" }',
      ['databases[0].initSQL: holds a NUL character, which PostgreSQL cannot store (line 5, column 33)'],
    ],
    ['{ name: a, init_sql: x }', ['databases[0].init_sql: unknown key; did you mean initSQL?']],
    ['{ name: a }, { name: a }', ["databases[1].name: 'a' is also the name of databases[0]"]],
    [
      '{ name: "a\\nb\\u202e", owner: "pg_\\n" }',
      ["databases[0].owner: 'pg_\\u{a}' is a reserved role name (names that begin with pg_ belong to PostgreSQL)"],
    ],
  ])('%s', (fields, expected) => {
    expect(databaseProblems(fields)).toEqual(expected);
  });

  const c = 'coordinator: { host: c }';
  const plain = 'must be left out where cluster.citus is false: plain PostgreSQL has no workers';
  test.each([
    ['databases: []', ['cluster: is required']],
    ['cluster: {}', ['cluster.coordinator: is required']],
    ['cluster: { coordinator: {} }', ['cluster.coordinator.host: is required']],
    ['cluster: { coordinator: { host: "" } }', ['cluster.coordinator.host: is empty']],
    [
      'cluster: { coordinator: { host: "c:5432" } }',
      ["cluster.coordinator.host: 'c:5432' holds a port; it has a key of its own"],
    ],
    [
      'cluster: { coordinator: { host: "a,b" } }',
      ["cluster.coordinator.host: 'a,b' holds a comma; each node has one host"],
    ],
    [
      'cluster: { coordinator: { host: a/b } }',
      ["cluster.coordinator.host: 'a/b' is neither a host name nor an absolute path to a socket's directory"],
    ],
    ['cluster: { coordinator: { host: c, port: 0 } }', ['cluster.coordinator.port: 0 is too small; the least is 1']],
    [
      'cluster: { coordinator: { host: c, group: 1 } }',
      ["cluster.coordinator.group: the coordinator's group is always 0, not 1"],
    ],
    [
      `cluster: { ${c}, workers: [] }`,
      ['cluster.workers: is empty: list the workers, or leave the key out to discover them'],
    ],
    [
      `cluster: { ${c}, workers: [{ group: 0, host: w }] }`,
      ['cluster.workers[0].group: group 0 is the coordinator; workers begin with group 1'],
    ],
    [
      `cluster: { ${c}, workers: [{ group: 1, host: C }] }`,
      ['cluster.workers[0]: has the address of cluster.coordinator, c:5432'],
    ],
    [
      `cluster: { ${c}, workers: [{ group: 1, host: a }, { group: "1", host: b }] }`,
      ['cluster.workers[1].group: group 1 is also the group of cluster.workers[0]'],
    ],
    [
      `cluster: { ${c}, workers: [{ group: 1, host: a, nodeName: x }, { group: 2, host: b, nodeName: x }] }`,
      ['cluster.workers[1]: has the name for other nodes (nodeName, nodePort) of cluster.workers[0], x:5432'],
    ],
    [`cluster: { ${c}, citus: false, workers: [{ group: 1, host: a }] }`, [`cluster.workers: ${plain}`]],
    [
      `cluster: { ${c}, citus: false }\ndatabases: { a: { workerGroups: [1] } }`,
      [`databases.a.workerGroups: ${plain}`],
    ],
    [
      `cluster: { ${c}, citus: false }\ndatabases: { a: { extensions: [citus] } }`,
      ["databases.a.extensions[0]: 'citus' cannot be listed where cluster.citus is false"],
    ],
    [
      `cluster: { ${c} }\ndatabases: []\nadditionalDatabases: []`,
      ['additionalDatabases: is another name for databases: give one of them, not both'],
    ],
    [
      `cluster: { ${c} }\ndatabases: { my-db: { name: other } }`,
      ["databases['my-db'].name: 'other' differs from the key above it"],
    ],
    [
      `cluster: { ${c} }\ndatabases: { template1: {}, citus: {}, "": {} }`,
      [
        "databases.template1: 'template1' belongs to PostgreSQL itself and cannot be managed here",
        "databases['']: is empty",
        "databases.citus: 'citus' is cluster.database, which Patroni manages",
      ],
    ],
    [
      `cluster: { ${c}, database: main }\ndatabases: [{ name: main }]`,
      ["databases[0].name: 'main' is cluster.database, which Patroni manages"],
    ],
    [
      `cluster: { ${c} }\ndatabases: a`,
      ['databases: must be a list of databases, or a mapping of their names to their fields'],
    ],
    [
      `cluster: { ${c} }\nssl: { mode: verify-full }`,
      ["ssl.mode: 'verify-full' needs the cluster's certificates: say ssl.enabled: true as well"],
    ],
    [
      `cluster: { ${c} }\nssl: { ca: /ca.crt }`,
      ["ssl.ca: '/ca.crt' must be a name inside the directory, without a leading slash"],
    ],
  ])('%s', (text, expected) => {
    expect(problemsOf(text)).toEqual(expected);
  });
});

/** Whatever the text, the answer is a Spec or a Failure 'invalid'. */
function answers(text: string): void {
  try {
    expect(parseSpec(text, 'spec.yaml')).toHaveProperty('databases');
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    expect(error.details.kind).toBe('invalid');
    expect(error.message).toMatch(/^The spec has \d+ problems? \(spec\.yaml\):\n {2}\S/);
  }
}

describe('any text', () => {
  const keys = fc.constantFrom(
    ...[
      'cluster',
      'ssl',
      'databases',
      'additionalDatabases',
      'coordinator',
      'workers',
      'host',
      'port',
      'group',
      'name',
    ],
    ...[
      'citus',
      'owner',
      'workerGroups',
      'extensions',
      'schemas',
      'parameters',
      'version',
      'initSQL',
      '__proto__',
      'mode',
    ],
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      fc.constantFrom(null, true, 0, 1, -1, 1.5, '', 'a', '1', 'citus', 'pg_x', 'verify-ca', 'enabled'),
      fc.string({ unit: 'binary' }),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.oneof(keys, keys, keys, fc.string()), tie('value'), { maxKeys: 6 }),
    ),
  }));

  test('of YAML is accepted or refused', () => {
    const document = fc.record({ cluster: value, databases: value, ssl: value }, { requiredKeys: [] });
    fc.assert(
      fc.property(fc.oneof(value, document), (content) => answers(stringify(content))),
      { numRuns: 2000 },
    );
  });

  test('of YAML signs is accepted or refused', () => {
    const sign = fc.constantFrom(
      ...'abc:-?[]{},&*!|>\'"%@`#~.\n\n\t   0<\\\r\0',
      'cluster',
      '---',
      '...',
      '&a',
      '*a',
      '!!str',
    );
    fc.assert(
      fc.property(fc.array(sign), (signs) => answers(signs.join(''))),
      { numRuns: 5000 },
    );
  });

  test('of bytes is accepted or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => answers(Buffer.from(bytes).toString('latin1'))),
    );
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), answers));
  });
});
