// The files that the linters of documents read (links.mjs, prose.mjs), and what is prose in them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const FENCE = /^( *)```.*\n[\s\S]*?^\1```$/gm;

/** Every page of Markdown: { file, text }, the file from the root, with slashes. */
export function pages(root) {
  const folders = ['.github', 'docs', 'chart', 'scripts', 'src'].flatMap((folder) => under(root, folder));
  const files = [...readdirSync(root), ...folders].filter((file) => file.endsWith('.md'));
  return files.toSorted().map((file) => ({ file, text: read(root, file) }));
}

/** Every source file: { file, text }. */
export function sources(root) {
  return under(root, 'src')
    .filter((file) => file.endsWith('.ts'))
    .toSorted()
    .map((file) => ({ file, text: read(root, file) }));
}

/** Files of YAML whose comments explain something to a user: { file, text }. */
export function commentedYaml(root) {
  const files = ['compose.yaml', ...['chart', 'development'].flatMap((folder) => under(root, folder))];
  return files
    .filter((file) => /^[^/]*\.yaml$|^chart\/values.*\.yaml$|^development\/.*\.yaml$/.test(file))
    .filter((file) => existsSync(path.join(root, file)))
    .map((file) => ({ file, text: read(root, file) }));
}

/** Without blocks of code; lines keep their numbers. */
export function withoutBlocks(text) {
  return text.replaceAll(FENCE, (block) => block.replaceAll(/[^\n]/g, ''));
}

export function lineAt(text, index) {
  return text.slice(0, index).split('\n').length;
}

function under(root, folder) {
  if (!existsSync(path.join(root, folder))) return [];
  const found = readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' });
  return found.map((file) => path.posix.join(folder, file.split(path.sep).join('/')));
}

function read(root, file) {
  return readFileSync(path.join(root, file), 'utf8');
}
