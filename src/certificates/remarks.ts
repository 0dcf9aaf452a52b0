import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

const DAY_MS = 86_400_000;
/** When `prepare` renews what it made itself. */
const WARNED_BEFORE_DAYS = 30;

/** What is to be said of the servers' certificate to those who rely on it: how long it is valid, and which names it lacks. */
export function certificateRemarks(pem: string, names: readonly string[], now: Date): readonly string[] {
  const certificate = new X509Certificate(pem);
  const days = Math.floor((Date.parse(certificate.validTo) - now.getTime()) / DAY_MS);
  const missing = names.filter((name) => !isNamed(certificate, name));
  return [
    ...(days < WARNED_BEFORE_DAYS
      ? [`The certificate of the servers ends on ${certificate.validTo} (days left: ${days}): renew it`]
      : []),
    ...missing.map(
      (name) =>
        `The certificate of the servers does not name ${name}: clients that verify the name (verify-full) refuse it`,
    ),
  ];
}

function isNamed(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}
