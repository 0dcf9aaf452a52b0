import { Failure } from '../../../src/report/errors.ts';
import { parseSpec } from '../../../src/spec/parse.ts';
import type { DatabaseSpec, Spec } from '../../../src/spec/types.ts';

/** The whole message of the Failure 'invalid' that the text deserves. */
export function messageOf(text: string): string {
  try {
    parseSpec(text, 'spec.yaml');
  } catch (error) {
    if (error instanceof Failure && error.details.kind === 'invalid') return error.message;
    throw error;
  }
  throw new Error('The spec was accepted');
}

/** The lines of that message that name problems. */
export function problemsOf(text: string): readonly string[] {
  return messageOf(text)
    .split('\n')
    .slice(1, -1)
    .map((line) => line.trim());
}

export const nodes = `
cluster:
  coordinator: { host: citusdemo-0 }
  workers: [{ group: 1, host: citusdemo-1 }, { group: 2, host: citusdemo-2 }]
`;

export function parse(text: string): Spec {
  return parseSpec(text, 'spec.yaml');
}

/** The one database of a spec whose entry is given as a flow mapping. */
export function database(fields: string): DatabaseSpec {
  const [only, ...rest] = parse(`${nodes}databases: [${fields}]`).databases;
  if (only === undefined || rest.length > 0) throw new Error('Expected one database');
  return only;
}

export function databaseProblems(fields: string): readonly string[] {
  return problemsOf(`${nodes}databases: [${fields}]`);
}
