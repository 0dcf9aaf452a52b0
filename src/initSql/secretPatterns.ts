/** Secrets that show by their form alone, whatever surrounds them. */

/** A range of the text (UTF-16 offsets) and what stands there instead. */
export interface Blot {
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

interface Pattern {
  readonly pattern: RegExp;
  readonly in: 'anything' | 'literal' | 'code';
}

/** The group `secret` always ends the match. */
const PATTERNS: readonly Pattern[] = [
  // Verifiers: PostgreSQL documentation, pg_authid.rolpassword.
  { pattern: /(?<secret>SCRAM-SHA-256\$[^\s'"]*)/gi, in: 'anything' },
  { pattern: /(?<![\da-z])(?<secret>md5[0-9a-f]{32})(?![\da-z])/gi, in: 'anything' },
  // libpq, "Connection URIs".
  { pattern: /\b[a-z][a-z0-9+.]*:\/\/[^\s:/@'"]*:(?<secret>[^\s@'"]*)(?=@)/gi, in: 'anything' },
  { pattern: /[?&](?:ssl)?password=(?<secret>[^\s&'"]+)/gi, in: 'anything' },
  // libpq, "Keyword/Value Connection Strings": values quoted or with backslashes.
  {
    pattern: /(?<!\w)(?:ssl|pg)?password\s*=\s*(?<secret>'(?:[^'\\]|\\[\s\S])*(?:'|$)|(?:[^\s'\\]|\\[\s\S])+)/gi,
    in: 'literal',
  },
  { pattern: /(?<!\w)(?:ssl|pg)?password=(?<secret>[^\s'",;()]+)/gi, in: 'code' },
  { pattern: /"[^"]*(?:passw(?:or)?d|passphrase|secret)"\s*:\s*"(?<secret>(?:[^"\\]|\\.)*)/gi, in: 'literal' },
];

/** `password=` whose value comes from a placeholder or a concatenation. */
const FILLED_IN = /(?<!\w)(?:ssl|pg)?password\s*=\s*'?(?:%(?:\d+\$)?-?\d*[sIL]|$)/i;

export function textPatternBlots(
  text: string,
  nature: 'code' | 'literal',
): { readonly blots: readonly Blot[]; readonly dynamic: boolean } {
  const blots: Blot[] = [];
  for (const { pattern, in: place } of PATTERNS) {
    if (place !== 'anything' && place !== nature) continue;
    for (const match of text.matchAll(pattern)) {
      const secret = match.groups?.['secret'];
      if (secret === undefined || secret === '') continue;
      const end = match.index + match[0].length;
      blots.push({ start: end - secret.length, end, replacement: '***' });
    }
  }
  return { blots, dynamic: nature === 'literal' && FILLED_IN.test(text) };
}
