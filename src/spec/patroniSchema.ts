import * as z from 'zod/mini';
import { anyOf, checked, defaulted, group, name, optional, parameterValue, port, required, text } from './fields.ts';
import { parseQuantity } from './memory.ts';
import * as names from './names.ts';

const parameters = z.record(text(names.parameter), z.nullable(parameterValue));

const member = z.strictObject({
  host: required(text(names.host), 'The member itself, not the Service of its group: the name or address of its pod.'),
  port: defaulted(port, 5432, "PostgreSQL's port."),
  restPort: defaulted(port, 8008, "The port of Patroni's REST API."),
});

const memory = checked(anyOf([z.string(), z.number()], 'must be a quantity of memory, such as 2Gi'), (value) =>
  parseQuantity(value) === undefined ? 'is no quantity of memory (2Gi and 512Mi are)' : undefined,
);

const patroniGroup = z.strictObject({
  group: required(
    group(names.groupNumber),
    "Patroni's citus group; 0 is the coordinator, and the only one where citus is false.",
  ),
  members: required(
    z.array(member).check(z.minLength(1, { error: 'is empty: list the members of the group' })),
    'The members of the group. Those that Patroni knows besides are asked at the address that it has of them, and are not restarted.',
  ),
  parameters: defaulted(parameters, {}, 'Parameters of this group; they win over those of all groups.'),
  memoryLimit: optional(memory, "The memory limit of the group's containers, as Kubernetes writes it (2Gi)."),
});

const tls = z.strictObject({
  enabled: defaulted(z.boolean(), true, "Whether Patroni's REST API speaks HTTPS."),
  mode: defaulted(
    z.enum(['require', 'verify-ca', 'verify-full']),
    'verify-full',
    'What is verified of its certificate: nothing unless there is a CA file, the chain, or the chain and the name.',
  ),
  directory: optional(text(names.notEmpty), 'Where this program reads the files. Default: ssl.directory.'),
  ca: optional(text(names.fileName), 'File name of the certificate authority. Default: ssl.ca.'),
  certificate: optional(text(names.fileName), 'File name of the certificate to show. Default: ssl.certificate.'),
  key: optional(text(names.fileName), 'File name of its private key. Default: ssl.key.'),
});

const credentials = z.strictObject({
  username: required(text(names.notEmpty), "User of the REST API's basic authentication."),
  passwordFile: required(text(names.notEmpty), 'The file that holds its password.'),
});

/** The section `patroni`, which only `configure` reads. */
export const patroni = z.strictObject({
  scope: optional(text(names.notEmpty), "Patroni's scope; members of any other are refused. Default: cluster.name."),
  patronictl: defaulted(
    text(names.notEmpty),
    'patronictl',
    'How the commands in messages begin, for instance kubectl exec -it citusdemo-0-0 -- patronictl.',
  ),
  credentials: optional(credentials, 'Who may change things through the REST API. Without it: nobody is asked.'),
  tls: optional(tls, "TLS of Patroni's REST API. Without it: HTTP."),
  parameters: defaulted(parameters, {}, 'Parameters of the servers of all groups. null stands for an absent entry.'),
  profile: defaulted(
    z.enum(['none', 'auto']),
    'none',
    "auto: sizes that follow from each group's memoryLimit, wherever parameters name none.",
  ),
  managedBefore: defaulted(
    z.array(name(names.parameter)),
    [],
    'Parameters that an earlier version of this spec named: those that it names no longer return to their default. What this program has set itself it remembers without this.',
  ),
  restart: defaulted(
    z.enum(['never', 'whenNeeded']),
    'never',
    'never: parameters that need a restart wait for one. whenNeeded: restart what needs it, replicas first.',
  ),
  allowInterruption: defaulted(
    z.boolean(),
    false,
    'With whenNeeded: restart the primary of a group that has no healthy replica too.',
  ),
  timeoutSeconds: defaulted(
    z.number().check(z.gte(1), z.lte(86_400)),
    300,
    'How long to wait for a group to answer, for its members to take the parameters, and for each restart.',
  ),
  groups: required(
    z.array(patroniGroup).check(z.minLength(1, { error: 'is empty: list the groups of the cluster' })),
    'The groups that Patroni runs.',
  ),
});
