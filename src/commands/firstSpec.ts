import { stringify } from 'yaml';
import type { NodeSpec } from '../spec/types.ts';

/** What `init` knows of the cluster. */
export interface FirstSpec {
  readonly schemaLine: string;
  readonly coordinator: NodeSpec;
  /** undefined: no cluster was asked; the user replaces the names. */
  readonly workers: readonly NodeSpec[] | undefined;
  readonly user: string;
  readonly passwordFile: string;
}

const EXAMPLE_WORKERS = [1, 2].map((group) => {
  const host = `worker${group}.example`;
  return { group, host, port: 5432, nodeName: host, nodePort: 5432 };
});

/** A spec for a person to edit: every line that needs attention says why. */
export function firstSpec({ schemaLine, coordinator, workers, user, passwordFile }: FirstSpec): string {
  const known = workers ?? EXAMPLE_WORKERS;
  return `${schemaLine}# The databases of a Citus cluster. All fields: docs/SPEC.md. Check this file with \`citus-databases validate\`.
cluster:
  name: ${scalar(coordinator.host.split('.')[0] ?? 'citus')}
  user: ${scalar(user)}   # a superuser
  # The file holds the password and nothing else. Paths are relative to this spec.
  passwordFile: ${scalar(passwordFile)}
  ${workers === undefined ? '# Replace these by your nodes.' : '# As the coordinator names them.'}
  coordinator: ${node(coordinator)}
  workers:
${known.map((worker) => `    - ${node(worker)}\n`).join('')}
databases:
  - name: app
    users:
      # Created on every node. Its password is that in the file.
      - { name: app, passwordFile: passwords/app, access: owner }
    extensions: []      # for example [pg_trgm, hstore]
    schemas: []         # for example [analytics]
    # The owner runs initSQL, so its tables belong to it.
    initSQLRole: owner
    # Each statement runs once. Append new ones; do not change those that have run.
    initSQL: |
      CREATE TABLE events (user_id bigint NOT NULL, at timestamptz NOT NULL DEFAULT now(), what text);
      SELECT create_distributed_table('events', 'user_id');
`;
}

/** On one line. The coordinator says what nodes are called, or whoever answers in its place: it stays a name, whatever it holds. */
function node({ group, host, port, nodeName, nodePort }: NodeSpec): string {
  const named = nodeName === host && nodePort === port ? {} : { nodeName, nodePort };
  const entries = Object.entries({ group, host, port, ...named });
  return `{ ${entries.map(([key, value]) => `${key}: ${inFlow(value)}`).join(', ')} }`;
}

/** JSON is YAML (YAML 1.2, section 1.3); host names need no quotes. */
function inFlow(value: string | number): string {
  const isPlain = typeof value === 'string' && /^[a-z0-9.-]+$/i.test(value) && scalar(value) === value;
  return isPlain ? value : JSON.stringify(value);
}

/** Quoted where YAML needs it. */
function scalar(text: string): string {
  return stringify(text, { lineWidth: 0 }).trim();
}
