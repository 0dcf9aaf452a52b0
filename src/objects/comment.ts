import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { Kind } from './kind.ts';
import { wording } from './wording.ts';

/** The comment of the database. It belongs to the server (pg_shdescription), and Citus does not propagate it. */
export const databaseComment: Kind<string | null> = {
  key: 'comment',
  scope: 'server',
  observe: ({ name }) => `(SELECT pg_catalog.to_jsonb(pg_catalog.shobj_description(d.oid, 'pg_database'))
    FROM pg_catalog.pg_database d WHERE d.datname::pg_catalog.text = ${quoteLiteral(name)})`,
  diff: ({ name, comment }, observed, node) => {
    if (comment === undefined || comment === (observed ?? '')) return [];
    return [
      {
        kind: 'change',
        node,
        scope: 'server',
        ...wording('set', `the comment of database ${quoteIdentifier(name)}`),
        statements: [{ text: `COMMENT ON DATABASE ${quoteIdentifier(name)} IS ${quoteLiteral(comment)}` }],
        failure: `Failed to set the comment of database '${name}'`,
        doneOnRetry: [],
        secret: false,
      },
    ];
  },
};
