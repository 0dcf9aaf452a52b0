import { expect, test } from 'vitest';
import { icuLanguages } from '../../../src/objects/databaseOptions.ts';

test.each<readonly [string, readonly string[] | 'root']>([
  ['de-DE', ['de']],
  ['de_AT', ['de']],
  ['abcd', ['abcd']],
  ['deu', ['deu', 'de']],
  ['iw', ['iw', 'he']],
  ['EN-u-kn-true', ['en']],
  ['zh-Hant-TW', ['zh']],
  ['und-u-kn-true', 'root'],
  ['nonsense', ['nonsense']],
  ['xx-YY', ['xx']],
])('the language of the ICU locale %j', (locale, languages) => {
  expect(icuLanguages(locale)).toEqual(languages);
});
