/**
 * The documents, and the blocks of code in them. Each block of bash, yaml or sql is preceded by a comment that says how
 * it is tested:
 *
 *     <!-- test: spec file=spec.yaml -->        yaml: a spec, which later `program` blocks of the document use
 *     <!-- test: part -->                       yaml: a list of databases, or keys of `cluster`, of a spec
 *     <!-- test: values file=x.yaml apply -->   yaml: values of the chart: rendered by Helm; with `apply`, their databases
 *                                               are made on a local cluster (`exit=3`: it ends so; `unchanged`: no change)
 *     <!-- test: program exit=10 -->            bash: run with this program on a local cluster; exit code of its last line
 *     <!-- test: output -->                     text: what the `program` block before it prints
 *     <!-- test: sql nodes=all database=x -->   sql: run on the coordinator (or workers, or all) of a local cluster
 *     <!-- test: cluster -->                    bash: kubectl and helm, whose arguments are held against the rendered chart
 *                                               (`certs`: certs/ is filled by scripts/generate-ssl-certs.sh before)
 *     <!-- test: console -->                    console: the same for the lines that begin with `$ `
 *     <!-- test: manifest -->                   yaml: an object of Kubernetes
 *     <!-- test: npm -->                        bash: scripts of package.json
 *     <!-- test: syntax -->                     bash: parsed by the shell, for what needs programs that no test has
 *     <!-- test: by test/integration/x.test.ts -->   anything: that test reads the document, or does the same
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export type Kind =
  | 'spec'
  | 'part'
  | 'values'
  | 'program'
  | 'output'
  | 'sql'
  | 'cluster'
  | 'console'
  | 'manifest'
  | 'npm'
  | 'syntax'
  | 'by';
const LANGUAGE_OF: Readonly<Record<Kind, string | undefined>> = {
  spec: 'yaml',
  part: 'yaml',
  values: 'yaml',
  program: 'bash',
  output: 'text',
  sql: 'sql',
  cluster: 'bash',
  console: 'console',
  manifest: 'yaml',
  npm: 'bash',
  syntax: 'bash',
  by: undefined,
};

export interface Block {
  /** docs/DATABASE_MANAGEMENT.md:42 */
  readonly place: string;
  readonly language: string;
  readonly code: string;
  readonly mark: Mark | undefined;
}

export interface Mark {
  readonly kind: Kind;
  readonly options: Readonly<Record<string, string>>;
}

export interface Document {
  /** From the repository's root. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
}

/** Every page with something to type: README.md, CONTRIBUTING.md, the chart's README and docs/*.md. */
export function documents(): readonly Document[] {
  const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
  const pages = ['README.md', 'CONTRIBUTING.md', 'chart/README.md', ...docs.toSorted().map((name) => `docs/${name}`)];
  return pages.map(readDocument);
}

export function readDocument(path: string): Document {
  const text = readFileSync(join(root, path), 'utf8');
  return { path, text, blocks: blocksOf(path, text) };
}

/** The document's blocks of these kinds, in order. */
export function marked(document: Document, ...kinds: readonly Kind[]): readonly (Block & { readonly mark: Mark })[] {
  return document.blocks.flatMap((block) =>
    block.mark !== undefined && kinds.includes(block.mark.kind) ? [{ ...block, mark: block.mark }] : [],
  );
}

const FENCE = /^(?<indent> *)```(?<language>\w*)[^\n]*\n(?<code>[\s\S]*?)^\k<indent>```$/gm;
const MARK = /<!-- test: (?<kind>\w+)(?<options>[^>]*?) *-->\s*$/;

function blocksOf(path: string, text: string): readonly Block[] {
  return [...text.matchAll(FENCE)].map((match) => {
    const { indent = '', language = '', code = '' } = match.groups ?? {};
    const place = `${path}:${text.slice(0, match.index).split('\n').length}`;
    const lines = code.split('\n').map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
    return { place, language, code: lines.join('\n'), mark: markBefore(text.slice(0, match.index), place, language) };
  });
}

function markBefore(text: string, place: string, language: string): Mark | undefined {
  const { kind, options = '' } = MARK.exec(text)?.groups ?? {};
  if (kind === undefined) return undefined;
  if (!isKind(kind)) throw new Error(`${place}: there is no kind of test '${kind}'`);
  const wanted = LANGUAGE_OF[kind];
  if (wanted !== undefined && wanted !== language)
    throw new Error(`${place}: ${kind} tests ${wanted}, not ${language}`);
  const pairs = options.split(' ').filter((option) => option !== '');
  return {
    kind,
    options: Object.fromEntries(pairs.map((pair) => [pair.split('=')[0] ?? '', pair.split('=')[1] ?? 'true'])),
  };
}

function isKind(text: string): text is Kind {
  return Object.hasOwn(LANGUAGE_OF, text);
}
