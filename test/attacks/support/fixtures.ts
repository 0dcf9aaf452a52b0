import { programTest } from '../../support/fixtures.ts';
import { startLaboratory } from './laboratory.ts';

/** With a cluster in which somebody means harm (test/support/fixtures.ts). */
// biome-ignore lint/correctness/noEmptyPattern: vitest reads from this pattern which fixtures a function needs
export const laboratoryTest = programTest.extend('laboratory', { scope: 'file' }, async ({}, { onCleanup }) => {
  const laboratory = await startLaboratory();
  onCleanup(() => laboratory.close());
  return laboratory;
});
