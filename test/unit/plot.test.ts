import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

test.each(['first-run', 'second-run'])('docs/performance/%s.svg: no line hides another', (name) => {
  const svg = readFileSync(new URL(`../../docs/performance/${name}.svg`, import.meta.url), 'utf8');
  const lines = [...svg.matchAll(/<polyline [^>]*points="([^"]+)"/g)].map(([, points = '']) =>
    points.split(' ').map((point) => Number(point.split(',')[1])),
  );
  expect(lines.length).toBe(3);
  for (const [index, line] of lines.entries()) {
    for (const other of lines.slice(index + 1)) {
      const apart = line.map((y, at) => Math.abs(y - (other[at] ?? 0)));
      // More than the width of a line, at some point.
      expect(Math.max(...apart)).toBeGreaterThan(10);
    }
  }
});
