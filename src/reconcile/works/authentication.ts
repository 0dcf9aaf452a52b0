import { authinfoOf, diffAuthinfo, hideAuthinfo } from '../../objects/authinfo.ts';
import { type Change, type Item, note } from '../../objects/change.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { inside, type Situation, server } from '../situation.ts';
import { line } from '../work.ts';
import { type DatabaseWork, onCoordinator, onDatabaseNodes } from './databaseWork.ts';

export const authentication: DatabaseWork = {
  name: 'authentication settings',
  nodes: onCoordinator,
  items: authenticationNotes,
  log: 'lines',
};

/** What there is to say about authentication between nodes before the rows are written. */
export function authenticationNotes(situation: Situation): readonly Item[] {
  const { ssl } = situation.spec;
  const conninfo = server(situation, situation.topology.coordinator).settings.nodeConninfo ?? '';
  const items: Item[] = [note(`Current citus.node_conninfo: ${conninfo === '' ? '(empty)' : conninfo}`)];
  if (!ssl.enabled) items.push(note('SSL is not enabled in the spec: nodes log in with the password alone'));
  else if (conninfo.includes('sslcert=')) items.push(note('✓ SSL certificate authentication is configured globally'));
  else items.push(note('citus.node_conninfo names no sslcert: the certificate comes from pg_dist_authinfo'));
  if (authinfoOf(situation.password, ssl) === undefined) {
    items.push(note('Neither a password nor a certificate is declared: pg_dist_authinfo is left alone'));
  }
  return items;
}

export const authinfo: DatabaseWork = {
  name: 'pg_dist_authinfo',
  nodes: onDatabaseNodes,
  items: authinfoItems,
  log: 'once',
  summaries: false,
  before: () => [line('Configuring authentication for coordinator (nodeid=0)...')],
  after: (_, names) => [
    line('Coordinator authentication configured!'),
    line(`Written on ${names.join(', ')}: nodeid 0 stands for every node`),
  ],
  nothing: () => 'Authentication between nodes is already configured on every node',
};

/** Step 5, on one node: the rows of the superuser and of declared users. */
function authinfoItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const { authinfo: observed = [], authinfoShown } = inside(situation, node);
  const rows = [
    ...diffAuthinfo(situation.spec.cluster.user, authinfoOf(situation.password, situation.spec.ssl), observed, node),
    ...userAuthinfoItems(situation, node),
  ];
  const isShown = authinfoShown === true && rows.length + observed.length > 0;
  return isShown ? [hideAuthinfo(node), ...rows] : rows;
}

/** Step 5: without its row on every node a role cannot use distributed tables. */
function userAuthinfoItems(situation: Situation, node: NodeSpec): readonly Change[] {
  const observed = inside(situation, node).authinfo ?? [];
  return situation.users.flatMap(({ spec, password }) =>
    password === undefined || !spec.login
      ? []
      : diffAuthinfo(spec.name, authinfoOf(password, situation.spec.ssl), observed, node),
  );
}
