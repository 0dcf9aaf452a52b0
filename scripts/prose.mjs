// node scripts/prose.mjs [FOLDER]: phrases that a native reader stumbles over, with what to write instead; part of
// `npm run lint`. Read are the pages, the comments of values and other YAML for users, and the messages of the program.
// Exit code 1: at least one was found. A page may quote a phrase as `code`.
import path from 'node:path';
import { commentedYaml, lineAt, pages, sources, withoutBlocks } from './documentFiles.mjs';

/** Longer sentences have two thoughts. */
const MOST_WORDS = 48;

/** In one or more backticks, within one paragraph and one row of a table. */
const CODE = /(`+)(?:(?!\1|\n\n|\n\|)[\s\S])+\1/g;

const RULES = [
  // Constructions that English does not have, or no longer has.
  [
    /\b(?:makes?|made) (?:the |its |it |them |all |declared |[a-z]+ and )*(?:databases? |users? |difference )?so\b(?! (?:that|large|small|long|often|many|much))/,
    'say what is created or changed',
  ],
  [/\b(?:ends?|stays?|remains?|was|were) so(?=[.,;:)]|$)/, 'name it: "ends with exit code 3"'],
  [/\b(?:is|are|was|of) no use\b/, 'say what to do instead'],
  [/\bwith a past\b/, 'that exist already'],
  [/\bha(?:s|ve) to bear\b/, 'must allow'],
  [/\bX is yours\b/, 'do it yourself'],
  [
    /\b(?:Only (?:then|after|when|once|if)\b[^.]{0,60}|Never|Nor|Neither|Nowhere) (?:is|are|was|does|do|did|has|have|can|may) (?:it|they|the|a|an|this|that|any)\b/,
    'subject first, verb second',
  ],
  [/(?<=[.:] )So (?:is|are|does|do|did) /, '"The same holds for …", or repeat the verb'],
  [/\b(?:can|could|is|are|was) to be had\b/, 'is available'],
  [/\bthat there (?:is|are)\b/, 'name it'],
  [/\ball (?:the same|of them that)\b/, 'anyway; or leave it out'],
  [/\bis of (?=the|a|this|no|another)\b/, 'belongs to; comes from'],
  [/(?<=[a-z,] )for (?:there|it|they) (?:is|are|was|were|has|have|does|do|cannot|can|may|will|would)\b/, 'because'],
  // Words that nobody uses, or uses in this sense.
  [
    /\b(?:anew|thereby|thereof|therein|wherein|whilst|henceforth|hereby|lest|nought|thereupon|upon|amongst|hitherto|ere)\b/i,
    'a word of today: again, by this, among, on',
  ],
  [/\b(?:whosoever|whatsoever)\b/i, 'anyone who'],
  [/\bstands? (?:in a file|there|above|below|in between|at the (?:top|end))\b/i, 'is'],
  [/\b(?:tells?|told) of\b/, 'describes; lists'],
  [/\b(?:a|one|another|the next) look\b(?! ?up)/, 'check; query'],
  [/\b(?:papers|rooms)\b/, 'documents; folders'],
  [/\b(?:gets? anew|goes wrong anew)\b/, 'again'],
  [/\b(?:[Mm]ends?|mended|mending)\b/, 'correct; repair'],
  [/\b(?:in vain|takes? up where|stands? still)\b/, 'without result; resumes; has stopped'],
  [/\bthe cause is PostgreSQL's\b/i, "The cause has PostgreSQL's words"],
  [/\bheld against\b/, 'compared with'],
  [/\bthe (?:world's|universe's)\b/, 'public'],
  // House style.
  [/\b(?:simply|obviously|basically|of course|easily|please note|note that)\b/i, 'leave it out'],
  [/\b(?:in order to)\b/i, 'to'],
  [/\b(?:utili[sz]es?|leverages?|facilitates?)\b/i, 'use'],
  [/(?<![\w.])(?:e\.g\.|i\.e\.|etc\.)/, 'for example; that is; and so on'],
  [/\band\/or\b/, 'one of the two, or "or"'],
  [/\b(\w{2,}) \1\b(?<!\b(?:all all))/i, 'one word twice'],
  [/\b(?:issue|session|task) (?:#?\d+)\b(?<!session \d{2,})/i, 'how the work was organised is no matter of readers'],
];

const root = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, '..'));
const texts = [...pages(root).flatMap(paragraphsOf), ...commentedYaml(root).flatMap(commentsOf)];
const messages = sources(root).flatMap(messagesOf);
const wrong = [...texts.flatMap(tooLong), ...[...texts, ...messages].flatMap(stumbles)];
for (const line of wrong) console.log(line);
if (wrong.length > 0) process.exitCode = 1;
else console.log(`${texts.length} paragraphs, ${messages.length} messages: none to stumble over`);

function stumbles({ place, prose }) {
  return RULES.flatMap(([phrase, instead]) => {
    const found = phrase.exec(prose);
    return found === null ? [] : [`${place}: "${found[0]}": ${instead}`];
  });
}

function tooLong({ place, prose }) {
  return prose
    .split(/(?<=[.!?:;])\s+(?=["(*]*\p{Lu}|\d|$)/u)
    .filter((sentence) => sentence.split(/\s+/).length > MOST_WORDS)
    .map((sentence) => `${place}: a sentence of ${sentence.split(/\s+/).length} words: "${sentence.slice(0, 60)}…"`);
}

/** Paragraphs, items of lists and cells of tables; a piece of code becomes X. */
function paragraphsOf({ file, text }) {
  const prose = withoutBlocks(text)
    .replaceAll(/<!--[\s\S]*?-->/g, (comment) => comment.replaceAll(/[^\n]/g, ''))
    .replaceAll(CODE, (code) => `X${code.replaceAll(/[^\n]/g, '')}`)
    .replaceAll(/\]\([^)]*\)/g, ']');
  const found = prose.matchAll(
    /(?:^(?:(?: *(?:[-*]|\d+\.) |#+ |\|).*)(?:\n {2,}\S.*)*|^\S.*(?:\n(?! *(?:[-*]|\d+\.) |#+ |\|)\S.*)*)/gm,
  );
  return [...found].flatMap(({ 0: paragraph, index }) => {
    const place = `${file}:${lineAt(prose, index)}`;
    const parts = paragraph.startsWith('|') ? paragraph.split('|') : [paragraph];
    return parts.map((part) => ({ place, prose: part.replaceAll(/\s+/g, ' ').trim() }));
  });
}

/** Comments that stand on lines of their own, block by block; examples that are commented out are none. */
function commentsOf({ file, text }) {
  return [...text.matchAll(/^ *# .*(?:\n *# .*)*/gm)].map(({ 0: block, index }) => ({
    place: `${file}:${lineAt(text, index)}`,
    prose: block
      .split('\n')
      .map((line) => line.replace(/^ *# (?:-- )?/, ''))
      .filter((line) => !/^\s*(?:- )?[\w.]+:|^\s*- /.test(line))
      .join(' ')
      .replaceAll(CODE, 'X'),
  }));
}

/** Literals of at least four words, without those in comments and without SQL. */
function messagesOf({ file, text }) {
  const code = text.replaceAll(/^\s*(?:\/\/|\/\*|\*).*$/gm, '');
  const found = code.matchAll(/'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g);
  return [...found]
    .map(({ 0: literal, index }) => ({
      place: `${file}:${lineAt(code, index)}`,
      prose: literal
        .slice(1, -1)
        .replaceAll(/\$\{[^}]*\}/g, '…')
        .replaceAll(/\s+/g, ' '),
    }))
    .filter(({ prose }) => /^(?:\S+ ){3,}\S+$/.test(prose))
    .filter(({ prose }) => !/\b(?:SELECT|FROM|WHERE|JOIN|INSERT INTO|COALESCE|THEN|VALUES)\b/.test(prose));
}
