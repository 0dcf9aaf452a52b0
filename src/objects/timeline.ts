/** Where a timeline was left for the next one. */
export interface Fork {
  readonly timeline: number;
  readonly at: string;
}

/**
 * A history file has all that led to its timeline (PostgreSQL: timeline.c, writeTimeLineHistory()): on each line a timeline,
 * the position at which it was left, and why. Others are comments.
 */
export function forksOf(history: string | null): readonly Fork[] {
  return [...(history ?? '').matchAll(/^[ \t]*(\d+)[ \t]+([0-9A-F]+\/[0-9A-F]+)/gim)].map(([, timeline, at = '']) => ({
    timeline: Number(timeline),
    at,
  }));
}

/** Where a timeline on the way to `current` came from: its number may be given again, by whoever promotes without the archive. */
export function originOfTimeline(timeline: number, current: number, forks: readonly Fork[]): Fork | undefined {
  const index = timeline === current ? forks.length : forks.findIndex((fork) => fork.timeline === timeline);
  return forks[index - 1];
}

export function isSameFork(one: Fork, other: Fork): boolean {
  return one.timeline === other.timeline && lsn(one.at) === lsn(other.at);
}

/** A position in the write-ahead log, to be compared. */
export function lsn(text: string): bigint {
  const [high = '0', low = '0'] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}
