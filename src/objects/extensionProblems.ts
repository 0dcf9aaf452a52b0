import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { ExtensionSpec } from '../spec/types.ts';
import type { Problem } from './change.ts';
import type { AvailableExtension, MissingExtension, ObservedExtension } from './extension.ts';

/** An extension cannot be moved without danger to what uses it, so a wanted schema that differs is refused. */
export function extensionProblems(
  wanted: readonly ExtensionSpec[],
  observed: readonly ObservedExtension[],
  label: string,
): readonly Problem[] {
  return wanted.flatMap((extension): Problem[] => {
    const existing = observed.find((candidate) => candidate.name === extension.name);
    if (existing === undefined || extension.schema === undefined || existing.schema === extension.schema) return [];
    return [
      {
        kind: 'refused',
        what: `Extension ${extension.name} is in schema '${existing.schema}', not in '${extension.schema}'`,
        node: label,
        next: `Declare schema: ${existing.schema}, or move it by hand: ALTER EXTENSION ${quoteIdentifier(extension.name)} SET SCHEMA ${quoteIdentifier(extension.schema)}`,
      },
    ];
  });
}

/** All extensions that a node cannot install, at once. */
export function availabilityProblems(
  wanted: readonly MissingExtension[],
  available: readonly AvailableExtension[],
  label: string,
): readonly Problem[] {
  const missing: string[] = [];
  const problems: Problem[] = [];
  for (const extension of wanted) {
    const found = available.find((candidate) => candidate.name === extension.name);
    const alike = available.find(({ name }) => name.toLowerCase() === extension.name.toLowerCase());
    if (found === undefined && alike !== undefined) problems.push(misspelt(extension.name, alike.name, label));
    else if (found === undefined) missing.push(extension.name);
    else if (extension.version !== undefined && !found.versions.includes(extension.version)) {
      missing.push(`${extension.name} ${extension.version} (it has ${found.versions.toSorted().join(', ')})`);
    } else if (found.reachable === false) problems.push(unreachable(extension, label));
  }
  if (missing.length === 0) return problems;
  return [
    ...problems,
    {
      kind: 'failed',
      what: `Not installed on the server: ${missing.length === 1 ? 'extension' : 'extensions'} ${missing.join(', ')}`,
      node: label,
      next: "Add their packages to the nodes' image (Dockerfile.citus), or take them out of `extensions`",
    },
  ];
}

function misspelt(name: string, actual: string, label: string): Problem {
  return {
    kind: 'invalid',
    what: `Extension '${name}' is called '${actual}': names of extensions are case-sensitive`,
    node: label,
    next: `Declare ${actual} in \`extensions\``,
  };
}

/** As a rule a downgrade: extensions come with scripts for updates only. */
function unreachable({ name, from, version }: MissingExtension, label: string): Problem {
  return {
    kind: 'refused',
    what: `Extension ${name} is at version ${from} and cannot go to ${version}: it has no update path there`,
    node: label,
    next: `Declare version: ${from}, or a later one; SELECT target FROM pg_extension_update_paths(${quoteLiteral(name)}) WHERE source = ${quoteLiteral(from ?? '')} AND path IS NOT NULL lists them`,
  };
}

/**
 * Where the default version is taken, nodes with other packages would end up with other versions: found before anything
 * is made. `catalogues` are those of the nodes that still lack extensions.
 */
export function packageProblems(
  wanted: readonly ExtensionSpec[],
  catalogues: readonly { readonly label: string; readonly available: readonly AvailableExtension[] }[],
): readonly Problem[] {
  return wanted.flatMap((extension): readonly Problem[] => {
    if (extension.version !== undefined) return [];
    const found = catalogues.flatMap(({ label, available }) =>
      available
        .filter((candidate) => candidate.name === extension.name)
        .map(({ defaultVersion }) => ({ label, defaultVersion })),
    );
    if (new Set(found.map(({ defaultVersion }) => defaultVersion)).size < 2) return [];
    const list = found.map(({ label, defaultVersion }) => `${label} ${defaultVersion}`).join(', ');
    return [
      {
        kind: 'failed',
        what: `The packages of extension ${extension.name} have different versions: ${list}`,
        next: 'Give all nodes the same image, or declare a version that each of them has',
      },
    ];
  });
}
