import { readFileSync } from 'node:fs';

declare const PACKAGE_VERSION: string | undefined;

/** From package.json; the build puts it in. */
export const VERSION: string =
  typeof PACKAGE_VERSION === 'string'
    ? PACKAGE_VERSION
    : (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version;
