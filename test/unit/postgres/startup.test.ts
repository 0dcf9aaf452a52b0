import { expect, test } from 'vitest';
import { startupOptions } from '../../../src/postgres/startup.ts';

test('what a pinned session reads from catalogs is not compiled; what a user runs is for their settings to say', () => {
  expect(startupOptions({ pinned: true })).toContain('-c jit=off');
  expect(startupOptions({ pinned: false })).not.toContain('jit');
});
