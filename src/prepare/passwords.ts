import { randomBytes, randomInt } from 'node:crypto';

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** For the cluster's own roles: 32 letters and digits. */
export function newServerPassword(): string {
  return Array.from({ length: 32 }, () => ALPHANUMERIC.charAt(randomInt(ALPHANUMERIC.length))).join('');
}

/** For users: 32 random bytes as 64 hexadecimal digits. */
export function newUserPassword(): string {
  return randomBytes(32).toString('hex');
}
