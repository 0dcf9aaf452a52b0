import * as z from 'zod/mini';
import { readText } from '../files/read.ts';
import { Failure } from '../report/errors.ts';

/** What the chart writes for `prepare`. Only the chart writes it, so that it is no part of the spec that users write. */
const userSecrets = z.strictObject({
  role: z.string(),
  /** The Secret that Jobs mount and applications use; those of further databases are beside it. */
  secret: z.string(),
  /** false: the password is in a Secret of somebody else's, and is not copied. */
  generate: z.boolean(),
  databases: z.array(z.strictObject({ name: z.string(), secret: z.string() })),
  /** Where copies of these Secrets go. */
  namespaces: z.optional(z.array(z.string())),
});

const certificates = z.strictObject({
  secret: z.string(),
  authoritySecret: z.string(),
  keys: z.strictObject({ ca: z.string(), certificate: z.string(), key: z.string() }),
  names: z.array(z.string()),
  days: z.number(),
  /** A certificate of another authority stays as it is, and nothing is made. */
  acceptOthers: z.optional(z.boolean()),
});

const document = z.strictObject({
  release: z.string(),
  chart: z.string(),
  cluster: z.string(),
  scope: z.string(),
  groups: z.array(z.strictObject({ group: z.number(), replicas: z.number() })),
  retired: z.array(z.number()),
  /** The servers of this revision demand TLS of each other. */
  tlsRequired: z.optional(z.boolean()),
  secrets: z.optional(
    z.strictObject({
      /** On every Secret that is made. */
      labels: z.record(z.string(), z.string()),
      credentials: z.optional(z.strictObject({ secret: z.string(), keys: z.array(z.string()) })),
      /** The Secret with the password of the exporter's role. */
      exporter: z.optional(z.string()),
      certificates: z.optional(certificates),
      connection: z.strictObject({
        host: z.string(),
        /** Default 5432. */
        port: z.optional(z.number()),
        sslmode: z.string(),
        /** The Secret, and the key in it, with the certificate of the authority. */
        ca: z.optional(z.strictObject({ secret: z.string(), key: z.string() })),
      }),
      users: z.array(userSecrets),
    }),
  ),
});

export type Preparation = z.output<typeof document>;
export type SecretsWanted = NonNullable<Preparation['secrets']>;
export type UserSecrets = z.output<typeof userSecrets>;
export type CertificatesWanted = z.output<typeof certificates>;

/** A Secret, where the chart puts it, has 1 MiB at most (Kubernetes documentation). */
const MOST_BYTES = 10_000_000;

export function parsePreparation(text: string): Preparation {
  const result = document.safeParse(parsed(text));
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new Failure({
    kind: 'invalid',
    what: 'The document for prepare is not what the chart of this version writes',
    cause: problems.join('\n'),
    next: 'Use a chart and a program of the same version (jobs.image)',
  });
}

/** What is no JSON is no such document either. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export async function readPreparation(file: string): Promise<Preparation> {
  return parsePreparation(
    await readText(file, MOST_BYTES).catch((error: unknown) => {
      throw new Failure(
        {
          kind: 'invalid',
          what: `The document for prepare cannot be read (${file})`,
          cause: error instanceof Error ? error.message : String(error),
          next: 'Name the file that the chart mounts: --document',
        },
        { cause: error },
      );
    }),
  );
}
