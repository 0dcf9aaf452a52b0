/** The points at which a conversation can be broken, and which of them a run tries. */
import { FLUSH, MOMENTS, type Moment, SYNC } from '../../support/faultProxy.ts';
import { everything, sampleOf, seed } from './sample.ts';

export interface Point {
  readonly group: number;
  /** The how-manieth message with a statement. */
  readonly at: number;
  readonly moment: Moment;
  readonly text: string;
}

/** Parse alone does nothing, so only its absence matters; Query and Sync execute. */
export function pointsOf(group: number, messages: readonly string[]): readonly Point[] {
  return messages.flatMap((text, index) => {
    const parse = messages[index + 1] === SYNC && text !== SYNC;
    const of = text === SYNC || text === FLUSH ? `${text} of ${messages[index - 1] ?? 'nothing'}` : text;
    return MOMENTS.filter((moment) => !parse || moment === 'before').map((moment) => ({
      group,
      at: index + 1,
      moment,
      text: of,
    }));
  });
}

/**
 * FAULTS=all: every point. FAULTS='0:17:sent 1:3:before': those. FAULTS=/CREATE/: those of messages that match.
 * FAULTS=100: so many of them, spread evenly. Else `sample`.
 */
export function choose(title: string, points: readonly Point[], sample: number): readonly Point[] {
  const wanted = process.env['FAULTS'] ?? '';
  if (/^\/.+\/$/.test(wanted)) {
    const pattern = new RegExp(wanted.slice(1, -1));
    return points.filter((point) => pattern.test(point.text));
  }
  if (wanted !== '' && wanted !== 'all' && !/^\d+$/.test(wanted)) {
    const names = wanted.split(/[\s,]+/);
    return points.filter((point) => names.includes(nameOf(point)));
  }
  return sampleOf(title, points, /^\d+$/.test(wanted) ? Number(wanted) : sample);
}

/** What was tried and how it can be tried again, as one line. */
export function summary(
  title: string,
  counts: { readonly tried: number; readonly of: number; readonly survived: number },
  chosen: readonly Point[],
): string {
  const again = everything ? '' : `; FAULTS_SEED=${seed} FAULTS='${chosen.map(nameOf).join(' ')}' tries them again`;
  return `${title}: ${counts.tried} points tried (of ${counts.of}), ${counts.survived} survived${again}`;
}

export function nameOf({ group, at, moment }: Point): string {
  return `${group}:${at}:${moment}`;
}

export function describePoint(point: Point): string {
  return `${nameOf(point)} (${point.text.replaceAll(/\s+/g, ' ').slice(0, 100)})`;
}
