/** What Patroni keeps for a group, as GET /config gives it. */
export interface DynamicConfig {
  readonly loopWaitSeconds: number;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** What this program has recorded as its own; undefined: it has never run here. */
  readonly managed: readonly string[] | undefined;
}

export interface ParameterChange {
  readonly name: string;
  /** undefined: Patroni's configuration does not name it. */
  readonly from: string | undefined;
  /** undefined: it returns to its default. */
  readonly to: string | undefined;
}

export interface Difference {
  readonly changes: readonly ParameterChange[];
  /** Names that the record has to hold from now on. */
  readonly managed: readonly string[];
  /** The body of PATCH /config; undefined when there is nothing to send. */
  readonly patch: Patch | undefined;
}

export interface Patch {
  readonly postgresql?: { readonly parameters: Readonly<Record<string, string | number | null>> };
  readonly [RECORD]?: { readonly managed: readonly string[] };
}

/**
 * The record of managed names stands beside Patroni's own keys, which ignores what it does not know (patroni/config.py,
 * _safe_copy_dynamic_configuration). A rolled-back release knows nothing of the names that came after it; the record
 * does.
 */
export const RECORD = 'citus_databases';

export interface DifferenceInput {
  readonly config: DynamicConfig;
  /** Names in lower case. */
  readonly wanted: Readonly<Record<string, string>>;
  readonly managedBefore: readonly string[];
  /** What a name that is no longer wanted falls back to; undefined: Patroni's default. */
  readonly fallback: (name: string) => string | undefined;
}

/**
 * Only what the spec names, or once named: what somebody set by hand with `patronictl edit-config` stays. Names are
 * compared without case, as PostgreSQL does; a second spelling of the same name is taken out.
 */
export function difference({ config, wanted, managedBefore, fallback }: DifferenceInput): Difference {
  const present = spellings(config.parameters);
  const former = new Set([...managedBefore, ...(config.managed ?? [])].map((name) => name.toLowerCase()));
  const dropped = [...former].filter((name) => wanted[name] === undefined);
  const targets = [
    ...Object.entries(wanted),
    ...dropped.map((name): [string, string | undefined] => [name, present.has(name) ? fallback(name) : undefined]),
  ].toSorted(([left], [right]) => (left < right ? -1 : 1));

  const changes: ParameterChange[] = [];
  const patch: Record<string, string | number | null> = {};
  for (const [name, to] of targets) {
    const found = present.get(name) ?? [];
    const from = found.at(-1)?.value;
    const tidy = found.every((entry) => entry.spelling === name);
    if (from === to && tidy) continue;
    for (const { spelling } of found) if (spelling !== name) patch[spelling] = null;
    patch[name] = to === undefined ? null : patchValue(to);
    changes.push({ name, from, to });
  }
  const managed = Object.keys(wanted).toSorted();
  const recorded = config.managed !== undefined && config.managed.join() === managed.join();
  if (changes.length === 0 && recorded) return { changes, managed, patch: undefined };
  return {
    changes,
    managed,
    patch: {
      ...(changes.length === 0 ? {} : { postgresql: { parameters: patch } }),
      ...(recorded ? {} : { [RECORD]: { managed } }),
    },
  };
}

interface Spelling {
  readonly spelling: string;
  readonly value: string;
}

function spellings(parameters: Readonly<Record<string, unknown>>): ReadonlyMap<string, readonly Spelling[]> {
  const found = new Map<string, Spelling[]>();
  for (const [spelling, value] of Object.entries(parameters)) {
    const name = spelling.toLowerCase();
    const entries = found.get(name) ?? [];
    entries.push({ spelling, value: textOf(value) });
    found.set(name, entries);
  }
  return found;
}

/** As it would stand in the spec: JSON's true is what YAML's true became. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Whole numbers go as numbers: Patroni's Citus support computes with max_connections. */
function patchValue(value: string): string | number {
  return /^-?(0|[1-9]\d*)$/.test(value) && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}
