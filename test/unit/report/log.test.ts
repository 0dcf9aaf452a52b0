import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { jsonLog, LOG_LEVELS, type LogLevel, textLog } from '../../../src/report/log.ts';
import { createRedactor } from '../../../src/report/redact.ts';
import { createStepLog, type StepLog } from '../../../src/report/stepLog.ts';

function collector() {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return { stream, written: () => text };
}

const redactor = createRedactor();
redactor.add("s3cr't");
const { redact } = redactor;

function story(log: StepLog): void {
  const about = log.about({ database: 'skymap' });
  about.frame('Creating database: skymap');
  about.step(1, 'Workers...');
  const step = about.about({ step: 1, node: 'w1' });
  step.line('Configuring', 1);
  step.warn("odd: password='s3cr''t'\nsecond line", 2);
  about.blank();
  about.error("ERROR: s3cr't");
}

test('the text log: frames, steps, indentation, warnings, no secret', () => {
  const { stream, written } = collector();
  story(createStepLog(textLog({ level: 'info', stream, redact })));
  const rule = '='.repeat(40);
  expect(written()).toBe(
    [
      rule,
      'Creating database: skymap',
      rule,
      '',
      'Step 1: Workers...',
      '  Configuring',
      "    WARNING: odd: password='[redacted]'",
      '      second line',
      '',
      'ERROR: [redacted]',
      '',
    ].join('\n'),
  );
});

test('the JSON log: one object a line, context as fields, no decoration, no secret', async () => {
  const { stream, written } = collector();
  story(createStepLog(await jsonLog({ level: 'info', stream, redact })));
  const lines = written()
    .trimEnd()
    .split('\n')
    .map((line): Record<string, unknown> => JSON.parse(line));
  expect(lines.map(({ time, ...rest }) => ({ ...rest, timed: !Number.isNaN(Date.parse(String(time))) }))).toEqual([
    { level: 'info', database: 'skymap', msg: 'Creating database: skymap', timed: true },
    { level: 'info', database: 'skymap', step: 1, msg: 'Step 1: Workers...', timed: true },
    { level: 'info', database: 'skymap', step: 1, node: 'w1', msg: 'Configuring', timed: true },
    {
      level: 'warn',
      database: 'skymap',
      step: 1,
      node: 'w1',
      msg: "WARNING: odd: password='[redacted]'\nsecond line",
      timed: true,
    },
    { level: 'error', database: 'skymap', msg: 'ERROR: [redacted]', timed: true },
  ]);
});

test.each([
  ['debug', ['debug', 'info', 'warn', 'error']],
  ['info', ['info', 'warn', 'error']],
  ['warn', ['warn', 'error']],
  ['error', ['error']],
] as const satisfies readonly (readonly [LogLevel, readonly LogLevel[]])[])('level %s', async (level, shown) => {
  const text = collector();
  const json = collector();
  const logs = [
    textLog({ level, stream: text.stream, redact }),
    await jsonLog({ level, stream: json.stream, redact }),
  ] as const;
  for (const log of logs) for (const name of LOG_LEVELS) log.write({ level: name, text: name, depth: 0, context: {} });
  expect(text.written().trimEnd().split('\n')).toEqual(shown);
  expect([...json.written().matchAll(/"msg":"(\w+)"/g)].map((match) => match[1])).toEqual(shown);
});
