import type { LocalClusterOptions } from '../../support/cluster.ts';
import { programTest } from '../../support/fixtures.ts';
import { openLaboratory } from './laboratory.ts';

/** With a cluster behind proxies (test/support/fixtures.ts). */
export function laboratoryTest(options: Partial<LocalClusterOptions> = {}) {
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from this pattern which fixtures a function needs
  return programTest.extend('laboratory', { scope: 'file' }, async ({}, { onCleanup }) => {
    const laboratory = await openLaboratory(options);
    onCleanup(() => laboratory.stop());
    return laboratory;
  });
}
