/**
 * Which of many cases a run tries when it cannot try all: another choice each day (UTC), the same all day long.
 * FAULTS=all tries everything, FAULTS_SEED=20778 makes the choice of that day again.
 */
import { createHash } from 'node:crypto';

export const everything = process.env['FAULTS'] === 'all';

/** Days since 1970, unless one is given. */
export const seed = Number(process.env['FAULTS_SEED'] ?? Math.floor(Date.now() / 86_400_000));

/** `count` of them, one at random out of each of as many stretches of the same length; each title has its own choice. */
export function sampleOf<Case>(title: string, cases: readonly Case[], count: number): readonly Case[] {
  if (everything || count >= cases.length) return cases;
  const stretch = cases.length / count;
  return Array.from(
    { length: count },
    (_, index) => cases[Math.floor((index + fraction(title, index)) * stretch)],
  ).filter((chosen) => chosen !== undefined);
}

/** At least 0, less than 1; follows from the seed. */
function fraction(title: string, index: number): number {
  return createHash('sha256').update(`${seed}:${title}:${index}`).digest().readUInt32BE(0) / 2 ** 32;
}
