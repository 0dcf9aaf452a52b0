/**
 * A strict reader of the text format of Prometheus (Prometheus documentation, "Exposition formats"), for tests: everything that
 * a scrape would refuse or misread is an error, and so is what `promtool check metrics` complains about in gauges.
 */

export interface ReadSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;
/** Reserved for counters, and for parts of histograms and summaries. */
const NOT_GAUGES = /_(total|count|sum|bucket)$/;
const NOT_BASE_UNITS = /_(milliseconds|ms|minutes|hours|days|kilobytes|percent)(_|$)/;

export function readExposition(text: string): readonly ReadSample[] {
  if (!text.endsWith('\n')) throw new Error('The last line does not end');
  const samples: ReadSample[] = [];
  const described = new Set<string>();
  const seen = new Set<string>();
  let current: string | undefined;
  let typed = false;
  for (const line of text.slice(0, -1).split('\n')) {
    const help = /^# HELP (\S+) (.+)$/.exec(line);
    const type = /^# TYPE (\S+) gauge$/.exec(line);
    if (help !== null) {
      current = nameOf(help[1] ?? '');
      typed = false;
      if (described.has(current)) throw new Error(`${current} is described twice`);
      described.add(current);
    } else if (type !== null) {
      if (type[1] !== current) throw new Error(`The type of ${type[1]} does not follow its help`);
      typed = true;
    } else {
      const sample = readSample(line);
      if (sample.name !== current || !typed) throw new Error(`${sample.name} does not stand under its type`);
      const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).toSorted())}`;
      if (seen.has(key)) throw new Error(`Two samples of ${key}`);
      seen.add(key);
      samples.push(sample);
    }
  }
  return samples;
}

function nameOf(name: string): string {
  if (!NAME.test(name)) throw new Error(`No name of a metric: ${name}`);
  if (NOT_GAUGES.test(name)) throw new Error(`The name of a counter: ${name}`);
  if (NOT_BASE_UNITS.test(name)) throw new Error(`Not in a base unit: ${name}`);
  return name;
}

function readSample(line: string): ReadSample {
  const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
  if (name === '' || value.trim() === '' || !Number.isFinite(Number(value))) throw new Error(`Not a sample: ${line}`);
  const read: Record<string, string> = {};
  for (let rest = labels; rest !== ''; ) {
    const [matched = '', label = '', content = ''] = LABEL.exec(rest) ?? [];
    if (matched === '' || label in read) throw new Error(`Not a label: ${rest}`);
    read[label] = content.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
    rest = rest.slice(matched.length);
  }
  return { name, labels: read, value: Number(value) };
}
