/**
 * A cluster with somebody in it who means harm. One screen of usage:
 *
 *     const laboratory = await startLaboratory();
 *     const scene = await laboratory.scene('shop', { access: 'owner' });      // database 'shop', and mallory in it
 *     await scene.asMallory(0, "CREATE FUNCTION …; SELECT ${scene.trap('view')}");
 *     await scene.provoke(0, 'SELECT * FROM t');        // as a superuser who is careless: a trap that works goes off
 *     expect(await scene.sprung()).toEqual(['view']);   // traps that went off, as a superuser, since asked last
 *     const before = await laboratory.powers();         // attributes and memberships of all roles on all nodes
 *
 * What a trap does shows in a file that the server writes, which no rollback takes back.
 */
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { list } from '../../support/catalog.ts';
import { connect, type LocalCluster, query, startLocalCluster } from '../../support/cluster.ts';
import { type Document, type Outcome, runProgram, specOf } from '../../support/program.ts';

export interface Laboratory {
  readonly cluster: LocalCluster;
  /** The file with mallory's password. */
  readonly passwordFile: string;
  /** Makes the database with the program, mallory as its user, and the function that traps call. */
  scene(database: string, options?: SceneOptions): Promise<Scene>;
  /** What roles are and are members of, on every node. */
  powers(): Promise<readonly (readonly string[])[]>;
  close(): Promise<void>;
}

export interface SceneOptions {
  readonly access?: 'owner' | 'all' | 'readWrite' | 'readOnly';
  /** More of the database's declaration. */
  readonly more?: Document;
  /** Nodes that have the database at first. Default: all. */
  readonly groups?: readonly number[];
}

export interface Scene {
  readonly database: string;
  /** Expression of type boolean that springs the trap of that name when a superuser evaluates it. */
  trap(name: string): string;
  /** Runs SQL as mallory on one node, without propagation. */
  asMallory(group: number, sql: string): Promise<void>;
  /** The same on every node that has the database. */
  onAllNodes(sql: string): Promise<void>;
  /** As any client of hers does, with propagation. */
  asClient(sql: string): Promise<void>;
  /** A session of hers in a transaction, after that statement. */
  hold(group: number, sql: string): Promise<Holder>;
  provoke(group: number, sql: string): Promise<void>;
  provokeIn(database: string, group: number, sql: string): Promise<void>;
  /** Mallory as a declared user. */
  readonly user: Document;
  sprung(): Promise<string[]>;
  /** `cluster`: more of the part of that name. */
  run(args: readonly string[], more?: Document, cluster?: Document): Promise<Outcome>;
  /** With another database alone in the spec. */
  runOn(database: string, args: readonly string[], entry: Document): Promise<Outcome>;
}

export interface Holder {
  query(sql: string): Promise<unknown>;
  end(): Promise<void>;
}

export const MALLORY = 'mallory';
export const PASSWORD = 'mallory-and-her-friends';

export async function startLaboratory(): Promise<Laboratory> {
  const cluster = await startLocalCluster({ workers: 2 });
  const folder = await mkdtemp('/tmp/citus-databases-attacks-');
  await chmod(folder, 0o777);
  const passwordFile = path.join(folder, 'password');
  const password = PASSWORD;
  await writeFile(passwordFile, password, { mode: 0o600 });
  const traps = path.join(folder, 'traps-');

  async function scene(
    database: string,
    { access = 'owner', more = {}, groups = [0, 1, 2] }: SceneOptions = {},
  ): Promise<Scene> {
    const files = await mkdtemp(traps);
    await chmod(files, 0o777);
    const user = { name: MALLORY, passwordFile, access };
    const document = (extra: Document = {}, part: Document = {}) =>
      specOf(cluster, [{ name: database, users: [user], ...more, ...extra }], { cluster: part });
    const statement = async (group: number, sql: string) => {
      const client = await connect(cluster, group, database, { name: MALLORY, password });
      try {
        await client.query(sql);
      } finally {
        await client.end();
      }
    };
    const asMallory = (group: number, sql: string) =>
      statement(group, `SET citus.enable_ddl_propagation = off;\n${sql}`);
    const onAllNodes = async (sql: string) => {
      for (const { group } of cluster.nodes) if (groups.includes(group)) await asMallory(group, sql);
    };
    const self: Scene = {
      database,
      trap: (name) => `public.sprung('${name}')`,
      asMallory,
      onAllNodes,
      asClient: (sql) => statement(0, sql),
      hold: async (group, sql) => {
        const client = await connect(cluster, group, database, { name: MALLORY, password });
        // It may be ended from outside.
        client.on('error', () => undefined);
        await client.query(`BEGIN; ${sql}`);
        return { query: (text) => client.query(text), end: () => client.end() };
      },
      provoke: async (group, sql) => void (await query(cluster, group, database, sql)),
      provokeIn: async (other, group, sql) => void (await query(cluster, group, other, sql)),
      user,
      sprung: async () => {
        const names = await readdir(files);
        await Promise.all(names.map((name) => rm(path.join(files, name))));
        return [...new Set(names.map((name) => name.replace(/\.\d+$/, '')))].toSorted();
      },
      run: async (args, extra, part) => await runProgram(cluster, args, document(extra, part)),
      runOn: async (name, args, entry) => await runProgram(cluster, args, specOf(cluster, [{ name, ...entry }])),
    };
    const made = await self.run(['apply']);
    if (made.code !== 0) throw new Error(`apply ended with ${made.code}:\n${made.stdout}`);
    if (access === 'owner' || access === 'all') await onAllNodes(trapFunction(files));
    else await query(cluster, 0, database, trapFunction(files));
    return self;
  }

  return {
    cluster,
    passwordFile,
    scene,
    powers: async () => await Promise.all(cluster.nodes.map(({ group }) => list(cluster, group, 'postgres', POWERS))),
    close: async () => {
      await cluster.stop();
      await rm(folder, { recursive: true });
    },
  };
}

/** IMMUTABLE on the outside, so that it may stand in indexes and constraints; the statement is the inner one's. */
function trapFunction(files: string): string {
  return `
    CREATE FUNCTION public.sprung_as_superuser(name text) RETURNS boolean LANGUAGE plpgsql AS $trap$
    BEGIN
      IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        EXECUTE pg_catalog.format('COPY (SELECT pg_catalog.current_setting(''application_name''), pg_catalog.current_setting(''search_path'')) TO %L',
          pg_catalog.concat('${files}/', name, '.', pg_catalog.pg_backend_pid()));
      END IF;
      RETURN true;
    END $trap$;
    CREATE FUNCTION public.sprung(name text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
      $trap$ BEGIN RETURN public.sprung_as_superuser(name); END $trap$;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC;`;
}

const POWERS = `
  SELECT concat_ws(' ', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls)
  FROM pg_authid
  UNION ALL
  SELECT concat_ws(' ', roleid::regrole, 'has member', member::regrole, admin_option) FROM pg_auth_members
  UNION ALL
  SELECT 'database ' || datname || ' of ' || datdba::regrole FROM pg_database WHERE datname IN ('postgres', 'template1')`;
