import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/run-in-cluster', import.meta.url));

/** Helm with one release, whose chart rendered the Job that the script takes as its pattern. */
const HELM = `#!/bin/sh
cat <<'END'
---
# Source: citus-cluster/templates/tests/verify.yaml
kind: Job
metadata:
  annotations:
    helm.sh/hook: test
END
`;

/**
 * As much of kubectl as the script asks for. What is asked again and again is answered from $SCENE: logs-1, logs-2 … are what one
 * \`kubectl logs\` after the other shows, states-1 … what the container's state is at each question; the last one stays.
 */
const KUBECTL = `#!/bin/bash
answer() {
  local number=$(($(cat "$SCENE/$1.asked" 2>/dev/null || echo 0) + 1))
  echo "$number" >"$SCENE/$1.asked"
  while [ "$number" -gt 1 ] && [ ! -e "$SCENE/$1-$number" ]; do number=$((number - 1)); done
  cat "$SCENE/$1-$number"
}
case $* in
  'create --dry-run=client'*) cat >/dev/null; printf citusdemo-verify ;;
  'create -f -' | 'patch --local'*) cat ;;
  'get pods -l job-name='*) printf pod ;;
  'logs -f pod'*) answer logs ;;
  'get pod pod -o go-template='*) answer states ;;
  *'{.status.phase}'*) answer phases ;;
  *terminated.exitCode*) printf 2 ;;
  'delete job'*) echo "$*" >"$SCENE/deleted" ;;
  *) echo "unexpected: kubectl $*" >&2; exit 1 ;;
esac
`;

const ERROR = "ERROR: --confirm is missing.\n  Next: Repeat the name of the database: --confirm 'shop'\n";

let scene: string;

beforeEach(() => {
  scene = mkdtempSync(join(tmpdir(), 'run-in-cluster-'));
  mkdirSync(join(scene, 'bin'));
  for (const [name, program] of Object.entries({ helm: HELM, kubectl: KUBECTL, sleep: '#!/bin/sh\n' })) {
    writeFileSync(join(scene, 'bin', name), program);
    chmodSync(join(scene, 'bin', name), 0o755);
  }
});

afterEach(() => rmSync(scene, { recursive: true, force: true }));

interface Scene {
  readonly logs: readonly string[];
  /** Answers to the question for the container's state, after the one that it runs. */
  readonly states: readonly string[];
  readonly phase?: string;
}

function run({ logs, states, phase = 'Running' }: Scene) {
  const answers = { logs, states: ['running', ...states], phases: [phase] };
  for (const [question, texts] of Object.entries(answers)) {
    for (const [index, text] of texts.entries()) writeFileSync(join(scene, `${question}-${index + 1}`), text);
  }
  const { status, stdout, stderr } = spawnSync(script, ['citusdemo', 'drop', 'shop'], {
    encoding: 'utf8',
    env: { SCENE: scene, PATH: `${join(scene, 'bin')}${delimiter}${process.env['PATH'] ?? ''}` },
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

/** The script asks twenty times before it looks at the log again. */
const late = (rounds: number) => [...Array<string>(20 * rounds).fill('running'), 'terminated'];

describe('scripts/run-in-cluster', () => {
  test("shows the command's log, ends with its exit code, and removes the Job", () => {
    expect(run({ logs: [ERROR], states: ['terminated'] })).toEqual({ status: 2, stdout: ERROR, stderr: '' });
    expect(readFileSync(join(scene, 'deleted'), 'utf8')).toMatch(/^delete job citusdemo-run-\w{6} /);
  });

  test("shows a short error once, however late the pod's status follows", () => {
    expect(run({ logs: [ERROR], states: late(4) })).toEqual({ status: 2, stdout: ERROR, stderr: '' });
  });

  test('shows each line once where the connection to the log breaks, also within a line', () => {
    const log = 'Database  shop\n\n  Step 1: \\done\n  Step 2\nno end of line';
    const logs = ['Database  shop\n\n  Ste', 'Database  shop\n\n  Step 1: \\done\n', '', log];
    expect(run({ logs, states: late(3) })).toEqual({ status: 2, stdout: log, stderr: '' });
  });

  test('says so when the pod is gone', () => {
    const { status, stdout, stderr } = run({ logs: ['Step 1\n'], states: [''], phase: '' });
    expect({ status, stdout }).toEqual({ status: 125, stdout: 'Step 1\n' });
    expect(stderr.trim().split('\n')).toEqual([expect.stringContaining('the pod pod is gone before its end was seen')]);
  });

  test('does not wait for the container of a pod that was evicted', () => {
    expect(run({ logs: [ERROR], states: [''], phase: 'Failed' })).toMatchObject({ status: 2, stdout: ERROR });
  });
});
