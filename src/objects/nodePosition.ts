import { integerLiteral, quoteLiteral } from '../postgres/quote.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Change } from './change.ts';
import type { Fragment } from './observe.ts';
import {
  AS_OURSELVES,
  assertTrusted,
  CREATED_MEANWHILE,
  ensureOwnTable,
  type OwnTable,
  qualified,
} from './ownTable.ts';
import type { OwnTableQuestion } from './ownTableObserved.ts';
import { type Fork, forksOf, isSameFork, lsn, originOfTimeline } from './timeline.ts';
import { wording } from './wording.ts';

/**
 * How far the write-ahead log of a server has come, which tells a server that was set back to an earlier moment: by a
 * backup, or by a failover to a standby that lagged. Its catalogs cannot tell: tables and metadata are there, as they were
 * then.
 */
export interface NodePosition {
  /** pg_control_system().system_identifier. */
  readonly system: string;
  /** Major version: pg_upgrade makes a new system. */
  readonly major: number;
  readonly timeline: number;
  /**
   * Where the last checkpoint began. What came after it may not have reached a standby yet, though no commit was lost with
   * it, so that a failover shortly after would look like a loss.
   */
  readonly checkpoint: string;
}

export interface ObservedPosition extends NodePosition {
  /** Where the next record will go. */
  readonly end: string;
  /** The history file of the timeline; null for the first one. */
  readonly history: string | null;
}

/** What an earlier run saw of one group. */
export interface RecordedPosition extends NodePosition {
  readonly group: number;
  /** Since then. */
  readonly seconds: number;
  /** Where its timeline came from: its number may be given again. Absent: the first one, or an older version recorded it. */
  readonly began?: Fork | undefined;
}

/** Where the timeline of a group came from when its position was recorded. */
export interface RecordedTimeline extends Fork {
  readonly group: number;
  /** Whose beginning that is. */
  readonly began: number;
}

const POSITIONS: OwnTable = {
  name: 'node_position',
  columns: [
    ['groupid', 'integer'],
    ['system', 'text'],
    ['major', 'integer'],
    ['timeline', 'integer'],
    ['checkpoint', 'pg_lsn'],
    ['recorded_at', 'timestamp with time zone'],
  ],
};
const TABLE = qualified(POSITIONS);

/** Apart from the other table, whose columns older versions of this program expect as they are. */
const TIMELINES: OwnTable = {
  name: 'node_timeline',
  columns: [
    ['groupid', 'integer'],
    ['timeline', 'integer'],
    ['parent', 'integer'],
    ['forked_at', 'pg_lsn'],
  ],
};
const TIMELINE_TABLE = qualified(TIMELINES);

/** On each server. PostgreSQL documentation, "System Administration Functions" and "Timelines". */
export function observePosition(): Fragment {
  return {
    key: 'position',
    when: 'NOT pg_catalog.pg_is_in_recovery()',
    value: `(SELECT pg_catalog.jsonb_build_object('system', s.system_identifier::pg_catalog.text,
        'major', pg_catalog.current_setting('server_version_num')::pg_catalog.int4 / 10000,
        'timeline', ('x' || t.name)::pg_catalog.bit(32)::pg_catalog.int4, 'checkpoint', c.redo_lsn, 'end', w.lsn,
        'history', CASE WHEN t.name <> '00000001' THEN pg_catalog.pg_read_file('pg_wal/' || t.name || '.history', 0, 1000000, true) END)
      FROM pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c,
        LATERAL (SELECT pg_catalog.pg_current_wal_lsn() AS lsn) w,
        LATERAL (SELECT pg_catalog."left"(pg_catalog.pg_walfile_name(w.lsn), 8) AS name) t)`,
  };
}

/** On the coordinator. */
export function askRecordedPositions(): OwnTableQuestion {
  return {
    key: 'recordedPositions',
    table: POSITIONS,
    value: `(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('group', p.groupid, 'system', p.system,
        'major', p.major, 'timeline', p.timeline, 'checkpoint', p.checkpoint,
        'seconds', pg_catalog.abs(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - p.recorded_at)))), '[]') FROM ${TABLE} p)`,
  };
}

/** On the coordinator. */
export function askRecordedTimelines(): OwnTableQuestion {
  return {
    key: 'recordedTimelines',
    table: TIMELINES,
    value: `(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('group', t.groupid, 'began', t.timeline,
        'timeline', t.parent, 'at', t.forked_at)), '[]') FROM ${TIMELINE_TABLE} t)`,
  };
}

/** Why what the server had when it was recorded is not all there any more; undefined: it is, as far as can be told. */
export function setBack(
  recorded: NodePosition & Pick<RecordedPosition, 'began'>,
  observed: ObservedPosition,
): string | undefined {
  // Another server is judged by its identifier (identity.ts).
  if (observed.system !== recorded.system || observed.major !== recorded.major) return undefined;
  const { timeline, checkpoint } = recorded;
  const was = `was at ${checkpoint} of timeline ${timeline}`;
  if (observed.timeline < timeline) return `it is on timeline ${observed.timeline} and ${was}`;
  const forks = forksOf(observed.history);
  const { began } = recorded;
  const now = originOfTimeline(timeline, observed.timeline, forks);
  if (began !== undefined && now !== undefined && !isSameFork(began, now)) {
    const from = (fork: Fork) => `from timeline ${fork.timeline} at ${fork.at}`;
    return `its timeline ${timeline} came ${from(now)}, and it ${was}, which came ${from(began)}`;
  }
  if (observed.timeline === timeline) {
    return lsn(observed.end) < lsn(checkpoint) ? `its write-ahead log ends at ${observed.end} and ${was}` : undefined;
  }
  const left = forks.find((fork) => fork.timeline === timeline)?.at;
  if (left === undefined) {
    return timeline === 1 && observed.history === null
      ? undefined
      : `the history of its timeline ${observed.timeline} does not lead through timeline ${timeline}, and it ${was}`;
  }
  return lsn(left) < lsn(checkpoint) ? `it left timeline ${timeline} at ${left} and ${was}` : undefined;
}

/** Where the timeline that a server is on came from. */
function beginningOf({ timeline, history }: ObservedPosition): Fork | undefined {
  return originOfTimeline(timeline, timeline, forksOf(history));
}

/** Runs are rare, and positions need not be new: once an hour keeps the unchanged run free of writes. */
const FRESH_SECONDS = 3600;

export function isFresh(recorded: RecordedPosition | undefined, observed: ObservedPosition): boolean {
  return (
    recorded !== undefined &&
    recorded.system === observed.system &&
    recorded.timeline === observed.timeline &&
    recorded.seconds < FRESH_SECONDS &&
    (recorded.began !== undefined || beginningOf(observed) === undefined)
  );
}

export function recordPositions(positions: ReadonlyMap<number, ObservedPosition>, coordinator: NodeSpec): Change {
  const rows = [...positions].map(
    ([group, { system, major, timeline, checkpoint }]) =>
      `(${group}, ${quoteLiteral(system)}, ${integerLiteral(major)}, ${integerLiteral(timeline)}, ${quoteLiteral(checkpoint)}::pg_catalog.pg_lsn)`,
  );
  const timelines = [...positions].flatMap(([group, position]) => {
    const began = beginningOf(position);
    return began === undefined
      ? []
      : [
          `(${group}, ${integerLiteral(position.timeline)}, ${integerLiteral(began.timeline)}, ${quoteLiteral(began.at)}::pg_catalog.pg_lsn)`,
        ];
  });
  return {
    kind: 'change',
    node: coordinator,
    scope: 'server',
    ...wording('remember', `how far each server has come (${TABLE})`),
    statements: [
      ...AS_OURSELVES,
      ...ensureOwnTable(`${TABLE} (
        groupid pg_catalog.int4 PRIMARY KEY,
        system pg_catalog.text NOT NULL,
        major pg_catalog.int4 NOT NULL,
        timeline pg_catalog.int4 NOT NULL,
        checkpoint pg_catalog.pg_lsn NOT NULL,
        recorded_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now())`),
      assertTrusted(POSITIONS),
      `INSERT INTO ${TABLE} (groupid, system, major, timeline, checkpoint) VALUES ${rows.join(', ')}
       ON CONFLICT (groupid) DO UPDATE SET system = excluded.system, major = excluded.major,
         timeline = excluded.timeline, checkpoint = excluded.checkpoint, recorded_at = pg_catalog.now()`,
      ...(timelines.length === 0 ? [] : rememberTimelines(timelines)),
    ].map((text) => ({ text })),
    failure: `Failed to remember in ${TABLE} how far each server has come`,
    doneOnRetry: [],
    retryOn: CREATED_MEANWHILE,
    secret: false,
  };
}

function rememberTimelines(rows: readonly string[]): readonly string[] {
  return [
    ...ensureOwnTable(`${TIMELINE_TABLE} (
        groupid pg_catalog.int4 PRIMARY KEY,
        timeline pg_catalog.int4 NOT NULL,
        parent pg_catalog.int4 NOT NULL,
        forked_at pg_catalog.pg_lsn NOT NULL)`),
    assertTrusted(TIMELINES),
    `INSERT INTO ${TIMELINE_TABLE} (groupid, timeline, parent, forked_at) VALUES ${rows.join(', ')}
     ON CONFLICT (groupid) DO UPDATE SET timeline = excluded.timeline, parent = excluded.parent, forked_at = excluded.forked_at`,
  ];
}

/** What a person says who knows what was lost, or that nothing was. */
export function forgetPosition(group: number): string {
  return `DELETE FROM ${TABLE} WHERE groupid = ${group};`;
}
