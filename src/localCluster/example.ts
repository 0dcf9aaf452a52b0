import type { DemoNode } from './demoCluster.ts';

/** What the example declares, and the files beside it that it names. */
export const EXAMPLE = {
  database: 'skymap',
  owner: 'skymap_app',
  passwordFiles: {
    superuser: 'passwords/postgres',
    users: ['passwords/skymap_app', 'passwords/skymap_reports'],
  },
  /** Names no schema: the database's search_path finds the table. */
  query: 'SELECT count(*) AS events, count(DISTINCT user_id) AS users FROM events',
} as const;

/** The spec that the demo starts with, as a person would write it, for that person to edit. */
export function exampleSpec(nodes: readonly DemoNode[], schemaLine: string): string {
  const [coordinator, ...workers] = nodes.map(nodeText);
  return `${schemaLine}# The spec of the demo. Change it, then run plan, apply and verify with it. The demo writes it once: a later demo applies
# what is here then. Remove this folder to start from the example again.
cluster:
  name: demo
  passwordFile: ${EXAMPLE.passwordFiles.superuser}   # paths are relative to this file
  coordinator: ${coordinator}
  workers:
${workers.map((worker) => `    - ${worker}\n`).join('')}
databases:
  - name: ${EXAMPLE.database}
    extensions: [hstore, pg_trgm]
    users:
      - { name: ${EXAMPLE.owner}, passwordFile: passwords/skymap_app, access: owner }
      - { name: skymap_reports, passwordFile: passwords/skymap_reports, access: readOnly }
    schemas: [analytics]
    parameters:
      timezone: UTC
      search_path: analytics,public
    initSQL: |
      CREATE TABLE analytics.events (
        event_id BIGSERIAL,
        user_id BIGINT NOT NULL,
        event_data JSONB,
        created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
        PRIMARY KEY (event_id, user_id)
      );
      SELECT create_distributed_table('analytics.events', 'user_id');
      INSERT INTO analytics.events (user_id, event_data)
        SELECT n % 50, jsonb_build_object('page', n % 7) FROM generate_series(1, 1000) AS n;
`;
}

function nodeText({ group, host, port, nodeName, nodePort }: DemoNode): string {
  const name = nodeName === undefined ? '' : `, nodeName: ${nodeName}, nodePort: ${nodePort}`;
  return `{ group: ${group}, host: ${host}, port: ${port}${name} }`;
}
