import { type Document, isAlias, isMap, isScalar, isSeq, type ParsedNode, type YAMLMap, type YAMLSeq } from 'yaml';
import type { Path, SpecProblem } from './problems.ts';

/** What a YAML document says, as plain data. Mappings have no prototype, so no key of theirs is special. */
export type Plain = string | number | boolean | null | readonly Plain[] | PlainMapping;
export interface PlainMapping {
  readonly [key: string]: Plain;
}

export interface PlainResult {
  readonly value: Plain;
  readonly problems: readonly SpecProblem[];
}

/** Aliases count as often as they are used: this bounds what a small document can blow up to. */
const maxValues = 300_000;

/** The tags that only say what YAML's core schema finds by itself (YAML 1.2.2, chapter 10.3). */
const plainTags: ReadonlySet<string> = new Set([
  '!',
  ...['map', 'seq', 'str', 'int', 'float', 'bool', 'null'].map((name) => `tag:yaml.org,2002:${name}`),
]);

/** Twice what the spec has; bounds the recursion below. */
const maxDepth = 20;

interface Converted {
  readonly value: Plain;
  readonly size: number;
}

/**
 * Turns a composed document into plain data. Not the library's own toJS(): that one looks for duplicate keys and
 * anchors in quadratic time, and turns keys that are not text into text of its own making.
 */
export function toPlain(document: Document.Parsed, position: (offset: number) => string): PlainResult {
  const problems: SpecProblem[] = [];
  /** 'open': the alias stands inside the node it refers to. */
  const anchors = new Map<string, Converted | 'open'>();
  let values = 0;

  function report(path: Path, node: { readonly range?: readonly number[] | null | undefined }, message: string): null {
    const start = node.range?.[0];
    problems.push({ path, message: start === undefined ? message : `${message} (${position(start)})` });
    return null;
  }

  function count(size: number): boolean {
    const before = values;
    values += size;
    if (values <= maxValues) return true;
    if (before <= maxValues)
      problems.push({ path: [], message: `holds more than ${maxValues} values, aliases included` });
    return false;
  }

  function convert(node: ParsedNode | null, path: Path): Converted {
    if (node === null) return { value: null, size: 1 };
    if (isAlias(node)) {
      const target = anchors.get(node.source);
      if (target === 'open') return { value: report(path, node, 'is an alias inside what it stands for'), size: 1 };
      if (target !== undefined) return count(target.size) ? target : { value: null, size: 1 };
      const hint = 'text that begins with * needs quotes';
      return { value: report(path, node, `is an alias without an anchor before it; ${hint}`), size: 1 };
    }
    if (path.length > maxDepth) return { value: report(path, node, 'is nested too deeply'), size: 1 };
    const { anchor } = node;
    if (anchor !== undefined) anchors.set(anchor, 'open');
    const before = values;
    const value = count(1) ? contents(node, path) : null;
    const converted = { value, size: values - before };
    if (anchor !== undefined) anchors.set(anchor, converted);
    return converted;
  }

  function contents(node: Exclude<ParsedNode, { source: string; resolve: unknown }>, path: Path): Plain {
    if (node.tag !== undefined && !plainTags.has(node.tag)) {
      return report(path, node, 'has a tag that means nothing here; text that begins with ! needs quotes');
    }
    if (isMap(node)) return mapping(node, path);
    if (isSeq(node)) return list(node, path);
    const { value } = node;
    if (typeof value === 'number' || typeof value === 'boolean') return value;
    return typeof value === 'string' ? text(value, node, path) : null;
  }

  function text(value: string, node: ParsedNode, path: Path): string {
    if (value.includes('\0')) report(path, node, 'holds a NUL character, which PostgreSQL cannot store');
    if (/\p{Cs}/u.test(value)) report(path, node, 'holds half a character (a lone surrogate), which is no UTF-8');
    return value;
  }

  function list(node: YAMLSeq.Parsed, path: Path): readonly Plain[] {
    return node.items.map((item, index) => convert(item as ParsedNode, [...path, index]).value);
  }

  function mapping(node: YAMLMap.Parsed, path: Path): PlainMapping {
    const result: Record<string, Plain> = Object.create(null);
    for (const { key, value } of node.items) {
      const name = keyText(key);
      if (name === undefined) {
        report(path, key, 'has a key that is not text');
        continue;
      }
      text(name, key, [...path, name]);
      // zod passes over this key without a word.
      if (name === '__proto__') report([...path, name], key, 'cannot be a key');
      if (name === '<<') {
        report(
          [...path, name],
          key,
          'is the merge key of YAML 1.1, which YAML 1.2 does not have; write the fields out',
        );
        continue;
      }
      if (name in result) report([...path, name], key, 'is given twice');
      result[name] = convert(value, [...path, name]).value;
    }
    return result;
  }

  return { value: convert(document.contents, []).value, problems };
}

/** A key as it is written: `123:` and `yes:` are names too. */
function keyText(key: ParsedNode): string | undefined {
  if (!isScalar(key)) return undefined;
  if (key.tag !== undefined && !plainTags.has(key.tag)) return undefined;
  if (typeof key.value === 'string') return key.value;
  return key.source === undefined || key.source === '' ? undefined : key.source;
}
