import pg from 'pg';
import type { LocalCluster } from '../src/localCluster/localCluster.ts';
import type { LocalNode } from '../src/localCluster/localNode.ts';
import { probeScript, verificationScript } from '../src/objects/verification.ts';
import { quoteConninfoValue, quoteIdentifier, quoteLiteral } from '../src/postgres/quote.ts';
import { WORK } from './program.ts';
import { serverCpu } from './serverCpu.ts';

/** Connections to the maintenance database of every node, open before the clock starts. */
export async function openAll(cluster: LocalCluster): Promise<readonly pg.Client[]> {
  return await Promise.all(cluster.nodes.map((node) => open(cluster, node, 'postgres')));
}

export interface Floor {
  /** Until the workers are registered. */
  readonly milliseconds: number;
  /** Until every node has proved that it reaches every other, too. */
  readonly proved: number;
  /** CPU of all servers until the workers are registered, where it can be told. */
  readonly serverCpu: number | undefined;
}

/**
 * The servers' own critical path: all nodes at once, the coordinator too, and each node in four messages. Nothing is
 * looked up, and all workers are registered in one statement. Then the proof, all nodes at once.
 */
export async function measureFloor(
  cluster: LocalCluster,
  servers: readonly pg.Client[],
  database: string,
): Promise<Floor> {
  const cpuBefore = serverCpu(cluster);
  const startedAt = performance.now();
  const inside = await Promise.all(
    cluster.nodes.map(async (node, index) => {
      const server = servers[index];
      if (server === undefined) throw new Error('a connection is missing');
      await server.query(`CREATE DATABASE ${quoteIdentifier(database)}`);
      await server.query(parameters(database).join(';'));
      const client = await open(cluster, node, database);
      await client.query('CREATE EXTENSION citus');
      await client.query([...WORK.extensions.map((name) => `CREATE EXTENSION ${name}`), authinfo(cluster)].join(';'));
      return client;
    }),
  );
  const [coordinator, ...workers] = cluster.nodes;
  if (coordinator === undefined) throw new Error('the cluster has no coordinator');
  const calls = [
    `citus_set_coordinator_host(${quoteLiteral(coordinator.host)}, ${coordinator.port})`,
    ...workers.map(({ host, port, group }) => `citus_add_node(${quoteLiteral(host)}, ${port}, groupid => ${group})`),
  ];
  // citus_set_coordinator_host() has to come first; the arguments of SELECT are evaluated in their order.
  await inside[0]?.query(`SELECT ${calls.join(', ')}`);
  const registeredAt = performance.now();
  const cpuAfter = serverCpu(cluster);
  const askedAt = performance.now();
  await Promise.all(
    inside.map((client, index) => client.query(verificationScript({ afterChange: true, coordinator: index === 0 }))),
  );
  await inside[0]?.query(`${probeScript(workers.length, 8 * workers.length, 'bench')}; ROLLBACK`);
  const milliseconds = registeredAt - startedAt;
  const proved = milliseconds + performance.now() - askedAt;
  await Promise.all(inside.map((client) => client.end()));
  const known = cpuBefore !== undefined && cpuAfter !== undefined;
  return { milliseconds, proved, serverCpu: known ? cpuAfter - cpuBefore : undefined };
}

export function parameters(database: string): readonly string[] {
  return Object.entries(WORK.parameters).map(
    ([name, value]) => `ALTER DATABASE ${quoteIdentifier(database)} SET ${name} TO ${quoteLiteral(value)}`,
  );
}

export function authinfo(cluster: LocalCluster): string {
  const value = `password=${quoteConninfoValue(cluster.password)}`;
  return `INSERT INTO pg_dist_authinfo (nodeid, rolename, authinfo) VALUES (0, ${quoteLiteral(cluster.superuser)}, ${quoteLiteral(value)})`;
}

/** Removes the database from every node. Citus' daemons keep coming back, hence several attempts (55006). */
export async function dropEverywhere(servers: readonly pg.Client[], database: string): Promise<void> {
  await Promise.all(
    servers.map(async (server) => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          await server.query(`DROP DATABASE IF EXISTS ${quoteIdentifier(database)} WITH (FORCE)`);
          return;
        } catch (error) {
          if (attempt === 20 || !(error instanceof pg.DatabaseError) || error.code !== '55006') throw error;
        }
      }
    }),
  );
}

async function open(cluster: LocalCluster, node: LocalNode, database: string): Promise<pg.Client> {
  const { host, port } = node;
  const client = new pg.Client({ host, port, database, user: cluster.superuser, password: cluster.password });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
