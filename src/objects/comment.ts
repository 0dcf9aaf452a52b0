import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { Kind } from './kind.ts';
import { wording } from './wording.ts';

/** The comment of the database. It belongs to the server (pg_shdescription), and Citus does not propagate it. */
export const databaseComment: Kind<boolean | null> = {
  key: 'comment',
  scope: 'server',
  // Whether it is as declared, and not what it is: its owner may write hundreds of megabytes there.
  observe: ({ name, comment }) =>
    comment === undefined
      ? undefined
      : `(SELECT pg_catalog.to_jsonb(coalesce(pg_catalog.shobj_description(d.oid, 'pg_database'), '') = ${quoteLiteral(comment)})
    FROM pg_catalog.pg_database d WHERE d.datname::pg_catalog.text = ${quoteLiteral(name)})`,
  diff: ({ name, comment }, observed, node) => {
    if (comment === undefined || (observed ?? comment === '')) return [];
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
