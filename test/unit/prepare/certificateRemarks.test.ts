import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { issue, makeAuthority } from '../../../src/certificates/certificate.ts';
import { certificateRemarks } from '../../../src/certificates/remarks.ts';
import { certificateWarnings } from '../../../src/commands/certificateWarnings.ts';
import type { SslSpec } from '../../../src/spec/types.ts';
import { node } from '../reconcile/situations.ts';

const now = new Date();
const authority = makeAuthority('authority', 3650, now);
const names = ['citusdemo-0', 'citusdemo-0.shop.svc', '*.citusdemo-pods.shop.svc', '10.0.0.1'];
const pem = (days: number) => issue({ commonName: 'postgres', names, days }, authority, now).certificate;

test.each([
  ['in order', 365, ['citusdemo-0', 'citusdemo-0.shop.svc', 'citusdemo-0-1.citusdemo-pods.shop.svc', '10.0.0.1'], []],
  ['ends soon', 20, [], [/ends on .* \(days left: (19|20)\): renew it/]],
  ['another namespace', 365, ['citusdemo-0.default.svc'], [/does not name citusdemo-0\.default\.svc/]],
  ['a group that came later', 365, ['citusdemo-2', '10.0.0.2'], [/citusdemo-2/, /10\.0\.0\.2/]],
] as const)('%s', (_, days, wanted, remarks) => {
  expect(certificateRemarks(pem(days), wanted, now)).toEqual(remarks.map((remark) => expect.stringMatching(remark)));
});

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'citus-databases-remarks-'));
  writeFileSync(join(directory, 'server.crt'), pem(365));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test.each([
  ['verify-full', 'server.crt', true, [expect.stringContaining('does not name citusdemo-1')]],
  ['verify-ca', 'server.crt', true, []],
  ['verify-full', 'absent.crt', true, []],
  ['verify-full', 'server.crt', false, []],
] as const)('%s, %s, enabled %s', async (mode, certificate, enabled, expected) => {
  const ssl: SslSpec = { enabled, mode, directory, ca: 'ca.crt', certificate, key: 'server.key', nodeDirectory: '/x' };
  const nodes = [node(0, 'citusdemo-0'), node(1, 'citusdemo-1')];
  expect(await certificateWarnings(ssl, nodes, now)).toEqual(expected);
});
