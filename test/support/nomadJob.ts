/**
 * A Nomad job file as Nomad reads it: HashiCorp's own parser, and the blocks of the job specification that the documents
 * use, with no other key allowed (developer.hashicorp.com/nomad/docs/job-specification).
 */
import { createRequire } from 'node:module';
import * as z from 'zod';

/** Blocks may repeat, so each is a list; labelled ones are keyed by their label. */
function block<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.tuple([z.strictObject(shape)]).transform(([only]) => only);
}

const template = z.strictObject({
  destination: z.string(),
  data: z.string(),
  uid: z.int().optional(),
  gid: z.int().optional(),
  perms: z
    .string()
    .regex(/^0[0-7]{3}$/)
    .optional(),
  env: z.boolean().optional(),
});

const task = block({
  driver: z.literal('docker'),
  lifecycle: block({ hook: z.enum(['prestart', 'poststart', 'poststop']), sidecar: z.boolean() }).optional(),
  vault: block({ policies: z.array(z.string()) }),
  config: block({ image: z.string(), ports: z.array(z.string()).optional(), args: z.array(z.string()).optional() }),
  volume_mount: block({ volume: z.string(), destination: z.string() }).optional(),
  env: z
    .tuple([z.record(z.string(), z.string())])
    .transform(([only]) => only)
    .optional(),
  template: z.array(template),
  service: block({
    name: z.string(),
    port: z.string(),
    provider: z.enum(['consul', 'nomad']),
    check: block({ type: z.enum(['tcp', 'http']), interval: z.string(), timeout: z.string() }),
  }).optional(),
  restart: block({ attempts: z.int(), delay: z.string(), mode: z.enum(['fail', 'delay']) }).optional(),
  resources: block({ cpu: z.int(), memory: z.int() }),
});

const group = block({
  count: z.int(),
  network: block({ port: z.record(z.string(), block({ static: z.int(), to: z.int() })) }),
  volume: z.record(z.string(), block({ type: z.enum(['host', 'csi']), source: z.string(), read_only: z.boolean() })),
  task: z.record(z.string(), task),
});

const job = block({
  datacenters: z.array(z.string()),
  type: z.enum(['service', 'batch']),
  group: z.record(z.string(), group),
});

const jobFile = z.strictObject({ job: z.record(z.string(), job) });
const fragment = z.strictObject({ template: z.array(template) });

export type Template = z.infer<typeof template>;
export type Task = z.infer<typeof task>;
export type Job = z.infer<typeof job>;

export function parseJob(text: string): Job {
  const [only, ...others] = Object.values(jobFile.parse(parseHcl(text)).job);
  if (only === undefined || others.length > 0) throw new Error('Not one job');
  return only;
}

export function parseTemplates(text: string): readonly Template[] {
  return fragment.parse(parseHcl(text)).template;
}

/** What a template makes of its data, given what is in Vault and in the task's environment: nothing unknown may be left. */
export function render(
  { data }: Template,
  secrets: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>>,
): string {
  const known = (values: Readonly<Record<string, string>>, key: string): string => {
    const value = values[key];
    if (value === undefined) throw new Error(`The template asks for ${key}, which is not there:\n${data}`);
    return value;
  };
  const rendered = data
    .replaceAll(/\{\{ with secret "([^"]+)" \}\}\{\{ \.Data\.data\.password \}\}\{\{ end \}\}/g, (_, secret: string) =>
      known(secrets, secret),
    )
    .replaceAll(/\{\{ env "([^"]+)" \}\}/g, (_, name: string) => known(environment, name));
  if (rendered.includes('{{')) throw new Error(`The template cannot be rendered here:\n${rendered}`);
  return rendered;
}

interface HclParser {
  /** Compiled from Go: the value and the error, null when there is none. */
  readonly parseToObject: (text: string) => readonly [unknown, unknown];
}

function parseHcl(text: string): unknown {
  const parser: HclParser = createRequire(import.meta.url)('hcl2-parser');
  const [value, error] = parser.parseToObject(text);
  if (error !== null) throw new Error('The text is not HCL');
  return value;
}
