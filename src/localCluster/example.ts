import { stringify } from 'yaml';
import type { DemoNode } from './demoCluster.ts';

/** The example that the demo applies, as the document a user would write. */
export function demoSpec(nodes: readonly DemoNode[], passwordFile: string, extensions: readonly string[]): string {
  const [coordinator, ...workers] = nodes.map(({ group, host, port, nodeName, nodePort }) => ({
    group,
    host,
    port,
    ...(nodeName === undefined ? {} : { nodeName, nodePort }),
  }));
  return stringify(
    {
      cluster: { name: 'demo', passwordFile, coordinator, workers },
      databases: [
        {
          name: 'skymap',
          owner: 'postgres',
          workerGroups: workers.map(({ group }) => String(group)),
          extensions,
          initSQL: INIT_SQL,
          parameters: { timezone: 'UTC', search_path: 'analytics,public' },
        },
      ],
    },
    { lineWidth: 0 },
  );
}

const INIT_SQL = `CREATE SCHEMA analytics;
CREATE ROLE readonly WITH LOGIN PASSWORD 'changeme';
GRANT CONNECT ON DATABASE skymap TO readonly;
GRANT USAGE ON SCHEMA analytics TO readonly;

CREATE TABLE analytics.events (
  event_id BIGSERIAL,
  user_id BIGINT NOT NULL,
  event_data JSONB,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  PRIMARY KEY (event_id, user_id)
);
SELECT create_distributed_table('analytics.events', 'user_id');
`;
