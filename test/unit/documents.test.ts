import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { splitScript } from '../../src/initSql/splitScript.ts';
import { parseSpec } from '../../src/spec/parse.ts';
import { runCommandLine } from '../support/commandLine.ts';
import { documents, marked, readDocument } from '../support/documents.ts';
import {
  errorMessages,
  errorsWithoutText,
  type Message,
  verificationMessages,
  warningMessages,
} from '../support/messages.ts';

const all = documents();

describe.each(all)('$path', (document) => {
  test('every block of code says how it is tested', () => {
    const unmarked = document.blocks.filter(
      ({ language, mark }) => ['bash', 'sh', 'console', 'yaml', 'sql'].includes(language) && mark === undefined,
    );
    expect(
      unmarked.map(({ place, code }) => `${place}: ${code.split('\n')[0]}`),
      'test/support/documents.ts tells of the marks',
    ).toEqual([]);
  });

  const specs = marked(document, 'spec');
  if (specs.length > 0) {
    test('its specs are valid', () => {
      for (const { place, code } of specs) expect(() => parseSpec(code, place)).not.toThrow();
    });
  }

  const parts = marked(document, 'part');
  if (parts.length > 0) {
    test('its parts of specs are valid', () => {
      for (const { place, code } of parts) {
        const part = parse(code);
        const coordinator = { host: 'citusdemo-0' };
        const spec = Array.isArray(part)
          ? { cluster: { coordinator }, databases: part }
          : { cluster: { coordinator, ...part }, databases: [] };
        expect(() => parseSpec(JSON.stringify(spec), place)).not.toThrow();
      }
    });
  }

  const values = marked(document, 'values');
  if (values.length > 0) {
    test('the databases of its values are valid', async () => {
      for (const { place, code } of values) {
        // The chart turns these into files (test/chart/users.test.ts, initSqlFrom.test.ts).
        const additionalDatabases = parse(code, (key: unknown, value) =>
          ['generate', 'existingSecret', 'initSQLFrom'].includes(String(key)) ? undefined : value,
        ).additionalDatabases;
        if (additionalDatabases === undefined) continue;
        const workers = ['1', '2', '3', '4'].map((group) => ({ group, host: `citusdemo-${group}` }));
        const cluster = { coordinator: { host: 'citusdemo-0' }, workers };
        const spec = parseSpec(JSON.stringify({ cluster, additionalDatabases }), place);
        for (const { name, initSQL } of spec.databases) if (initSQL !== undefined) await splitScript(initSQL, name);
      }
    });
  }

  const manifests = marked(document, 'manifest');
  if (manifests.length > 0) {
    test('its manifests are objects of Kubernetes', () => {
      for (const { place, code } of manifests) {
        const expected = {
          apiVersion: expect.any(String),
          kind: expect.any(String),
          metadata: { name: expect.any(String) },
        };
        expect(parse(code), place).toMatchObject(expected);
      }
    });
  }

  const parsed = marked(document, 'syntax');
  if (parsed.length > 0) {
    test('its other commands can be parsed by a shell', () => {
      for (const { place, code } of parsed) {
        const { status, stderr } = spawnSync('bash', ['-n'], { input: code, encoding: 'utf8' });
        expect(status, `${place}: ${stderr}`).toBe(0);
      }
    });
  }

  const elsewhere = marked(document, 'by');
  if (elsewhere.length > 0) {
    test('the tests that it names for its blocks exist', () => {
      for (const { place, mark } of elsewhere) {
        const file = Object.keys(mark.options).find((option) => option.endsWith('.test.ts')) ?? '';
        expect(existsSync(new URL(`../../${file}`, import.meta.url)), `${place}: ${file}`).toBe(true);
      }
    });
  }

  const scripts = marked(document, 'npm');
  if (scripts.length > 0) {
    test('its npm commands are scripts of package.json', () => {
      const known = Object.keys(
        JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).scripts,
      );
      for (const { place, code } of scripts) {
        for (const line of code.trim().split('\n')) {
          const script = /^npm (?:run )?(?:--silent )?([\w:]+)/.exec(line)?.[1];
          expect(known, `${place}: ${line}`).toContain(script);
        }
      }
    });
  }
});

/** What no test can run, and why; everything else on every page is run, rendered or compared. */
const ONLY_PARSED = [
  'README.md: git clone "$REPOSITORY" citus-databases', // run by scripts/first-hour.mjs, which needs root
  'docs/DEVELOPMENT_COMPOSE.md: psql -h localhost -p 5600 -U commcarehq commcare_ucr_citus', // asks for a password
  'docs/NOMAD.md: vault kv put secret/postgres/superuser password="$(openssl rand -hex 32)"', // needs Vault
  'docs/NOMAD.md: nomad alloc restart -all-tasks ALLOCATION', // needs Nomad
  'docs/NOMAD.md: citus-databases plan --spec spec.yaml', // of databases that somebody made by hand
  'docs/QUICKSTART.md: kind create cluster', // needs Docker
  'docs/QUICKSTART.md: kind delete cluster',
  'docs/RUNBOOK.md: kubectl get jobs -l job-type=scheduled-verify', // Jobs of a CronJob, which no chart renders
];

test('the blocks that are only parsed are these', () => {
  const found = all.flatMap((document) =>
    marked(document, 'syntax').map(({ code }) => `${document.path}: ${code.split('\n')[0]}`),
  );
  expect(found.toSorted()).toEqual(ONLY_PARSED.toSorted());
});

test('README.md names every command', async () => {
  const { out: help } = await runCommandLine(['--help']);
  const commands = [...help.slice(help.indexOf('Commands:')).matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(
    (match) => match[1],
  );
  const named = [...readDocument('README.md').text.matchAll(/^\| `([a-z][a-z-]*)[^|]*\|/gm)].map((match) => match[1]);
  expect(named.toSorted()).toEqual(commands.filter((command) => command !== 'help').toSorted());
});

describe('DATABASE_MANAGEMENT_TROUBLESHOOTING.md', () => {
  const { text } = readDocument('docs/DATABASE_MANAGEMENT_TROUBLESHOOTING.md');
  const headings = [...text.matchAll(/^### `(.+)`$/gm)].map((match) => match[1]);
  const firstCells = [...text.matchAll(/^\| `(.+?)` \|/gm)].map((match) => match[1]);
  const lacking = (messages: readonly Message[], written: readonly (string | undefined)[]) =>
    messages.filter((message) => !written.includes(message.text)).map(({ text, place }) => `${text}  (${place})`);

  test('has every error that the program can print, and no other', () => {
    const errors = errorMessages();
    // A scanner that finds nothing would make this test pass.
    expect(errors.length).toBeGreaterThan(90);
    expect(lacking(errors, headings)).toEqual([]);
    expect(headings.filter((heading) => !errors.some((error) => error.text === heading))).toEqual([]);
  });

  test('each error has its cause and cure under its own heading', () => {
    const sections = text.split(/^(?=#{2,3} )/m).filter((section) => section.startsWith('### `'));
    expect(sections.length).toBe(headings.length);
    const empty = sections.filter((section) => section.split('\n').slice(1).join('').trim() === '');
    expect(empty.map((section) => section.trim())).toEqual([]);
  });

  test('the texts of errors are where this test looks for them', () => {
    expect(errorsWithoutText()).toEqual([
      'src/cluster/absentPods.ts', // the failure of src/cluster/ready.ts, with more in its cause
      'src/cluster/ready.ts', // pairs of what and next
      'src/commands/guard.ts', // the problem of src/objects/serverImage.ts
      'src/postgres/asFailure.ts', // in the words of whoever calls it
      'src/postgres/proof.ts', // the doubt's `what`
      'src/postgres/tls.ts', // the argument of invalid()
      'src/reconcile/executeChange.ts', // the change's `failure`
      'src/reconcile/executeItems.ts', // the refusal's `failure`
      'src/reconcile/problemsFailure.ts', // the problem's `what`
    ]);
  });

  test('has every warning', () => {
    const warnings = warningMessages();
    expect(warnings.length).toBeGreaterThan(8);
    expect(lacking(warnings, firstCells)).toEqual([]);
  });

  test('has everything that a verification finds wrong', () => {
    const findings = verificationMessages();
    expect(findings.length).toBeGreaterThan(10);
    expect(lacking(findings, firstCells)).toEqual([]);
  });
});
