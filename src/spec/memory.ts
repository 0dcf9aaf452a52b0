/** Powers as Kubernetes writes them (Kubernetes API conventions, "Quantity"). */
const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** A Kubernetes quantity of memory (`2Gi`, `512Mi`, `1.5G`, `1e9`) in bytes; undefined when it is none. */
export function parseQuantity(text: string | number): number | undefined {
  const match = /^(\d+(?:\.\d*)?(?:[eE][+]?\d+)?)([kMGT]|[KMGT]i)?$/.exec(String(text).trim());
  if (match === null) return undefined;
  const bytes = Math.floor(Number(match[1]) * (FACTORS[match[2] ?? ''] ?? Number.NaN));
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}

/** `2GiB`, `640MiB`: for messages. */
export function formatBytes(bytes: number): string {
  for (const [unit, factor] of [
    ['TiB', 2 ** 40],
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (bytes >= factor) return `${Number((bytes / factor).toFixed(2))}${unit}`;
  }
  return `${bytes}B`;
}
