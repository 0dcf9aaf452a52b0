// node scripts/links.mjs [FOLDER]: links that lead nowhere; part of `npm run lint`. Checked are the files and headings that
// pages link to, and the pages that comments and messages of the sources name. With --external also the web pages, which
// lint does not ask for: a build must not depend on them. Exit code 1: a link that leads nowhere.
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { commentedYaml, lineAt, pages, sources, withoutBlocks } from './documentFiles.mjs';

const external = process.argv.includes('--external');
const folder = process.argv.slice(2).find((argument) => !argument.startsWith('--'));
const root = path.resolve(folder ?? path.join(import.meta.dirname, '..'));
const all = pages(root);
const anchors = new Map(all.map(({ file, text }) => [file, anchorsOf(text)]));

const links = all.flatMap(linksOf);
const named = [...sources(root), ...commentedYaml(root)].flatMap(namesOf);
const wrong = [...links, ...named].flatMap((link) => judge(link) ?? []);
if (external) wrong.push(...(await Promise.all(links.map(judgeExternal))).flat());
for (const line of wrong) console.log(line);
if (wrong.length > 0) process.exitCode = 1;
else console.log(`${all.length} pages, ${links.length + named.length} links: each leads somewhere`);

/** Inline links, images, and definitions of links; code is none. */
function linksOf({ file, text }) {
  // Helm's chart README is put together from scripts/chart-docs and read in chart/.
  const base = file.startsWith('scripts/chart-docs/') ? 'chart' : path.posix.dirname(file);
  const prose = withoutBlocks(text).replaceAll(/`[^`\n]*`/g, (code) => 'x'.repeat(code.length));
  const found = prose.matchAll(/\]\((?<inline>[^()\s]+)(?: "[^"]*")?\)|^ {0,3}\[[^\]]+\]: (?<defined>\S+)/gm);
  return [...found].map(({ index, groups }) => {
    const target = groups.inline ?? groups.defined;
    return { place: `${file}:${lineAt(text, index)}`, file, base, target };
  });
}

/** `docs/PERFORMANCE.md`, and `docs/PERFORMANCE.md, "Many databases"`, in sources and in comments of YAML. */
function namesOf({ file, text }) {
  const found = text.matchAll(/\b(?<page>docs\/[\w/]+\.md)(?:, "(?<heading>[^"]+)")?/g);
  return [...found].map(({ index, groups }) => {
    const heading = groups.heading === undefined ? '' : `#${anchorOf(groups.heading)}`;
    return { place: `${file}:${lineAt(text, index)}`, file, base: '.', target: groups.page + heading };
  });
}

function judge({ place, file, base, target }) {
  if (/^[a-z]+:/.test(target)) return target.startsWith('http:') ? `${place}: ${target} is not https` : undefined;
  const [linked, heading] = target.split('#');
  const page = linked === '' ? file : path.posix.join(base, linked);
  if (!existsSync(path.join(root, page))) return `${place}: there is no ${page}`;
  if (heading === undefined || statSync(path.join(root, page)).isDirectory()) return undefined;
  if (anchors.get(page)?.includes(heading)) return undefined;
  return `${place}: ${page} has no heading #${heading}`;
}

async function judgeExternal({ place, target }) {
  if (!/^https?:/.test(target)) return [];
  const answer = await fetch(target, { signal: AbortSignal.timeout(20_000) }).catch((error) => error);
  if (answer.ok) return [];
  return [`${place}: ${target}: ${answer.status ?? answer.cause?.message ?? answer.message}`];
}

/** As GitHub writes them, numbered where they repeat; and the ones that a page sets itself. */
function anchorsOf(text) {
  const seen = new Map();
  const prose = withoutBlocks(text);
  const headings = [...prose.matchAll(/^#{1,6} (?<title>.+)$/gm)].map(({ groups }) => {
    const anchor = anchorOf(groups.title.replaceAll(/\[(?<label>[^\]]*)\]\([^)]*\)/g, '$<label>'));
    const times = seen.get(anchor) ?? 0;
    seen.set(anchor, times + 1);
    return times === 0 ? anchor : `${anchor}-${times}`;
  });
  return [...headings, ...[...prose.matchAll(/<a (?:id|name)="(?<id>[^"]+)">/g)].map(({ groups }) => groups.id)];
}

/** Lower case, without punctuation, hyphens for blanks. */
function anchorOf(title) {
  return title
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
    .replaceAll(' ', '-');
}
