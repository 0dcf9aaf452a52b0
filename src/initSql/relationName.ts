/** A name as a statement has it; without a schema the server's search_path decides. */
export interface TouchedName {
  readonly schema: string | undefined;
  readonly name: string;
}

const NAME = /^(?:"((?:[^"]|"")+)"|([\p{L}_][\p{L}\p{N}_$]*))$/u;

/** `'t'`, `'s.t'`, `'"My Schema"."T"'`: as to_regclass() reads them. */
export function relationIn(text: string | undefined): TouchedName | undefined {
  if (text === undefined || text.length > 200) return undefined;
  const parts = text.match(/"(?:[^"]|"")+"|[^.]+/g) ?? [];
  const names = parts.map((part) => {
    const [, quoted, plain] = NAME.exec(part.trim()) ?? [];
    return quoted?.replaceAll('""', '"') ?? plain?.toLowerCase();
  });
  const [first, second] = names;
  if (first === undefined || names.length > 2 || (names.length === 2 && second === undefined)) return undefined;
  return second === undefined ? { schema: undefined, name: first } : { schema: first, name: second };
}
