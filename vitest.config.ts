import { defineConfig } from 'vitest/config';
import { POSTGRES_SETTING } from './src/localCluster/postgresInstall.ts';
import { integrationProjects } from './test/support/installations.ts';
import { ProgressReporter } from './test/support/progress.ts';

function integration(name: string, env: Readonly<Record<string, string>>) {
  return {
    test: {
      name,
      env,
      sequence: { groupOrder: 1 },
      include: ['test/integration/**/*.test.ts'],
      testTimeout: 120_000,
      hookTimeout: 180_000,
      maxWorkers: 2,
    },
  };
}

/** A file for the results, as JSON (.ci/run). */
const report = process.env['CITUS_DATABASES_TEST_REPORT'];
const jsonReport: [string, Record<string, unknown>][] = report === undefined ? [] : [['json', { outputFile: report }]];

export default defineConfig({
  test: {
    reporters: ['default', new ProgressReporter(), ...jsonReport],
    projects: [
      {
        test: {
          name: 'unit',
          sequence: { groupOrder: 0 },
          include: ['test/unit/**/*.test.ts'],
          // What has to be fast is asserted in processor time; the wall clock only ends what hangs.
          testTimeout: 60_000,
        },
      },
      ...(await integrationProjects()).map(({ name, install }) =>
        integration(name, install === undefined ? {} : { [POSTGRES_SETTING]: install.bin }),
      ),
      {
        test: {
          name: 'chart',
          sequence: { groupOrder: 2 },
          include: ['test/chart/**/*.test.ts'],
          globalSetup: ['test/support/helmSetup.ts'],
          testTimeout: 30_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'faults',
          sequence: { groupOrder: 4 },
          include: ['test/faults/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'attacks',
          sequence: { groupOrder: 6 },
          include: ['test/attacks/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 600_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'e2e',
          sequence: { groupOrder: 3 },
          include: ['test/e2e/**/*.test.ts'],
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'differential',
          sequence: { groupOrder: 6 },
          include: ['test/differential/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 180_000,
          maxConcurrency: 3,
        },
      },
      {
        test: {
          name: 'compose',
          sequence: { groupOrder: 5 },
          include: ['test/compose/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
