import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

/**
 * Whether a certificate was made for a host, by libpq's rules for sslmode=verify-full (PostgreSQL documentation,
 * "Client Verification of Server Certificates"; src/interfaces/libpq/fe-secure-openssl.c). Node's own check differs:
 * it takes partial wildcards (`a*.example.com`) and, for IP addresses, never looks at the common name.
 */
export function certificateNamesHost(certificate: X509Certificate, host: string): boolean {
  const names = alternativeNames(certificate);
  if (isIP(host) !== 0) {
    if (certificate.checkIP(host) !== undefined) return true;
    if (names.dns.some((name) => equalIgnoringCase(name, host))) return true;
    return !names.hasIp && commonNames(certificate).some((name) => equalIgnoringCase(name, host));
  }
  // the common name counts only where the certificate has no alternative name of the host's kind
  return (names.dns.length > 0 ? names.dns : commonNames(certificate)).some((name) => matchesHost(name, host));
}

/** `*` stands for exactly one whole label, the leftmost. */
export function matchesHost(pattern: string, host: string): boolean {
  if (equalIgnoringCase(pattern, host)) return true;
  if (!pattern.startsWith('*.') || pattern.length < 3) return false;
  const suffix = pattern.slice(1);
  const label = host.slice(0, -suffix.length);
  return label !== '' && !label.includes('.') && equalIgnoringCase(host.slice(label.length), suffix);
}

/** The names of a certificate as a person reads them, for messages. */
export function namesOf(certificate: X509Certificate): string {
  const names = certificate.subjectAltName ?? commonNames(certificate).join(', ');
  return names === '' ? 'no name' : names;
}

interface AlternativeNames {
  readonly dns: readonly string[];
  readonly hasIp: boolean;
}

/**
 * Node gives the names as one line, `DNS:a, IP Address:1.2.3.4`, and writes a name with unusual characters as a JSON
 * string, so that a name cannot pretend to be two (Node documentation, `x509.subjectAltName`).
 */
function alternativeNames(certificate: X509Certificate): AlternativeNames {
  const dns: string[] = [];
  let hasIp = false;
  for (const [, kind, text = ''] of (certificate.subjectAltName ?? '').matchAll(
    /(?:^|, )([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^,]*)/g,
  )) {
    if (kind === 'IP Address') hasIp = true;
    if (kind === 'DNS') dns.push(text.startsWith('"') ? String(JSON.parse(text)) : text);
  }
  return { dns, hasIp };
}

function commonNames(certificate: X509Certificate): readonly string[] {
  // a subject with several common names gives an array, which the types leave out
  const name: unknown = certificate.toLegacyObject().subject.CN;
  const names: readonly unknown[] = Array.isArray(name) ? name : [name];
  return names.filter((each) => typeof each === 'string').slice(0, 1);
}

/** ASCII only, as in DNS and in libpq's pg_strcasecmp. */
function equalIgnoringCase(a: string, b: string): boolean {
  return foldAscii(a) === foldAscii(b);
}

function foldAscii(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}
