import { expect, test } from 'vitest';
import type { ArchiverState } from '../../../src/objects/restorePoint.ts';
import type { Session } from '../../../src/postgres/connection.ts';
import { untilArchived } from '../../../src/reconcile/archivePoint.ts';

const FAILING: ArchiverState = { archived: false, lastFailed: '000000010000000000000003' };

/** Answers with one state after the other. */
function archiver(...states: readonly ArchiverState[]): Pick<Session, 'query'> {
  const left = [...states];
  const query = async () => ({ rows: [left.length > 1 ? left.shift() : left[0]] });
  return { query: query as unknown as Session['query'] };
}

function wait(session: Pick<Session, 'query'>, forMs: number, firstWordMs: number) {
  const said: ArchiverState[] = [];
  const deadline = performance.now() + forMs;
  const { signal } = new AbortController();
  const state = untilArchived(session, FAILING.lastFailed ?? '', {
    ...{ deadline, signal, firstWordMs },
    onWait: (seen) => said.push(seen),
  });
  return { state, said };
}

test('a wait for the archive says that it goes on, and what fails', async () => {
  const { state, said } = wait(archiver(FAILING), 1, 0);
  expect(await state).toEqual(FAILING);
  expect(said).toEqual([FAILING]);
});

test('what is archived soon needs no word', async () => {
  const { state, said } = wait(archiver(FAILING, { archived: true, lastFailed: null }), 60_000, 60_000);
  expect(await state).toMatchObject({ archived: true });
  expect(said).toEqual([]);
});
