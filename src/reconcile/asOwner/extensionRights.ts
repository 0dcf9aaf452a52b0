import type { Problem } from '../../objects/change.ts';
import { isDue, type ObservedExtension } from '../../objects/extension.ts';
import { availabilityProblems } from '../../objects/extensionProblems.ts';
import type { ExtensionNeeds } from '../../objects/ownRights.ts';
import { quoteIdentifier, quoteLiteral } from '../../postgres/quote.ts';
import type { ExtensionSpec } from '../../spec/types.ts';
import { missingExtensions } from '../missingExtensions.ts';
import { inside, label } from '../situation.ts';
import { nodesOf, withoutCreate } from './lacking.ts';
import type { ExtensionFacts, OwnerSituation } from './situation.ts';

/** What extensions that are due need and the role lacks. Pure. */

export function extensionRights(situation: OwnerSituation, facts: ExtensionFacts): readonly Problem[] {
  const { database, topology } = situation;
  const { coordinator } = topology;
  const { extensions } = inside(situation, coordinator);
  const unavailable = availabilityProblems(
    missingExtensions(situation, coordinator),
    facts.availableExtensions,
    label(situation, coordinator),
  ).map((problem) => (problem.kind === 'failed' ? { ...problem, next: WHAT_THE_SERVICE_HAS } : problem));
  return [
    ...differingExtensions(situation),
    ...unavailable,
    ...database.extensions.flatMap((wanted) => {
      const present = extensions.find(({ name }) => name === wanted.name);
      const isKnown = facts.extensionNeeds.some(({ name }) => name === wanted.name);
      if (!isDue(wanted, present) || !isKnown) return [];
      return [
        ...withoutSuperuser(situation, wanted, present, facts.extensionNeeds),
        ...(present === undefined ? [] : ofOthers(situation, wanted)),
      ];
    }),
  ];
}

const WHAT_THE_SERVICE_HAS =
  'Choose what the service offers (SELECT name, version FROM pg_available_extension_versions), or take it out of `extensions`';

/** An untrusted extension is made and updated by superusers (PostgreSQL: commands/extension.c, extension_is_trusted()). */
function withoutSuperuser(
  situation: OwnerSituation,
  wanted: ExtensionSpec,
  present: ObservedExtension | undefined,
  needs: readonly ExtensionNeeds[],
): readonly Problem[] {
  const { database, topology } = situation;
  const { extensions } = inside(situation, topology.coordinator);
  const made = present === undefined ? [wanted.name, ...requiredBy(wanted.name, needs)] : [wanted.name];
  const untrusted = made.filter((name) => {
    const found = needs.find((each) => each.name === name);
    const absent = name === wanted.name || !extensions.some((extension) => extension.name === name);
    return absent && found?.superuser === true && !found.trusted;
  });
  if (untrusted.length === 0) return withoutCreate(situation, [`extension ${wanted.name}`]);
  return untrusted.map((name) => ({
    kind: 'refused',
    what: `Extension ${name} is not trusted: only a superuser ${present === undefined ? 'creates' : 'updates'} it`,
    node: label(situation, topology.coordinator),
    next: `Let an administrator run, in database '${database.name}' on the coordinator: ${name === wanted.name ? statementFor(wanted, present) : `CREATE EXTENSION ${quoteIdentifier(name)}`}. Services have a function of their own for the extensions that they allow`,
  }));
}

/** Whatever an extension needs, by way of others too. */
function requiredBy(extension: string, needs: readonly ExtensionNeeds[]): readonly string[] {
  const found = new Set<string>();
  const visit = (name: string): void => {
    for (const required of needs.find((each) => each.name === name)?.requires ?? []) {
      if (found.has(required)) continue;
      found.add(required);
      visit(required);
    }
  };
  visit(extension);
  return [...found];
}

function statementFor({ name, schema, version }: ExtensionSpec, present: ObservedExtension | undefined): string {
  const quoted = quoteIdentifier(name);
  if (present !== undefined) return `ALTER EXTENSION ${quoted} UPDATE TO ${quoteLiteral(version ?? '')}`;
  return [
    `CREATE EXTENSION ${quoted}`,
    ...(schema === undefined ? [] : [`SCHEMA ${quoteIdentifier(schema)}`]),
    ...(version === undefined ? [] : [`VERSION ${quoteLiteral(version)}`]),
  ].join(' ');
}

/** Only its owner updates an extension, trusted or not, and Citus updates it on every node (PostgreSQL: ExecAlterExtensionStmt()). */
function ofOthers(situation: OwnerSituation, { name, version }: ExtensionSpec): readonly Problem[] {
  const quoted = quoteIdentifier(name);
  return nodesOf(situation).flatMap(({ node, rights }): readonly Problem[] => {
    if (rights.ownsExtensions.includes(name)) return [];
    return [
      {
        kind: 'refused',
        what: `Extension ${name} belongs to somebody else here, and only its owner updates it`,
        node,
        next: `Let its owner, or an administrator, run, in database '${situation.database.name}' on the coordinator: ALTER EXTENSION ${quoted} UPDATE TO ${quoteLiteral(version ?? '')}`,
      },
    ];
  });
}

/** Workers where an extension is not as on the coordinator, which has it as declared. */
export function differingExtensions(situation: OwnerSituation): readonly Problem[] {
  const { database, topology } = situation;
  const { extensions } = inside(situation, topology.coordinator);
  return database.extensions.flatMap((wanted) => {
    const present = extensions.find(({ name }) => name === wanted.name);
    return isDue(wanted, present) ? [] : differingOn(situation, wanted, present);
  });
}

function differingOn(
  situation: OwnerSituation,
  wanted: ExtensionSpec,
  present: ObservedExtension | undefined,
): readonly Problem[] {
  const name = quoteIdentifier(wanted.name);
  const version = quoteLiteral(present?.version ?? '');
  return situation.workers.flatMap(({ node, answer }): readonly Problem[] => {
    const there = answer?.extensions.find((extension) => extension.name === wanted.name);
    if (answer === undefined || there?.version === present?.version) return [];
    const statement =
      there === undefined
        ? `CREATE EXTENSION ${name} VERSION ${version}`
        : `ALTER EXTENSION ${name} UPDATE TO ${version}`;
    return [
      {
        kind: 'refused',
        what: `Extension ${wanted.name} is ${there?.version ?? 'missing'} here and ${present?.version ?? 'missing'} on the coordinator`,
        node: label(situation, node),
        next: `Let an administrator run, in database '${situation.database.name}' on this node: ${statement} (with citus.enable_ddl_propagation off)`,
      },
    ];
  });
}
