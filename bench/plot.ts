export interface Line {
  readonly name: string;
  readonly color: string;
  /** x: workers; y: what the axis says. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

const WIDTH = 640;
const HEIGHT = 360;
const LEFT = 60;
const RIGHT = 150;
const TOP = 40;
const BOTTOM = 50;

/** Where two lines are on top of each other, the one below shows in the gaps of the other. */
const DASHES = ['none', '8 4', '2 4'];

/** A line chart as SVG, both axes from zero. */
export function plot(title: string, yAxis: string, lines: readonly Line[]): string {
  const points = lines.flatMap((line) => line.points);
  const maxX = Math.max(...points.map(([x]) => x));
  const step = niceStep(Math.max(...points.map(([, y]) => y)));
  const maxY = step * Math.ceil(Math.max(...points.map(([, y]) => y)) / step);
  const x = (value: number) => (LEFT + ((WIDTH - LEFT - RIGHT) * value) / maxX).toFixed(1);
  const y = (value: number) => (HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * value) / maxY).toFixed(1);
  const text = (at: readonly [string | number, string | number], anchor: string, content: string, more = '') =>
    `<text x="${at[0]}" y="${at[1]}" text-anchor="${anchor}"${more}>${escaped(content)}</text>`;
  const grid = Array.from({ length: Math.round(maxY / step) + 1 }, (_, index) => index * step).flatMap((value) => [
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/>`,
    text([LEFT - 8, Number(y(value)) + 4], 'end', String(Number(value.toFixed(2)))),
  ]);
  const ticks = [...new Set(points.map(([value]) => value))].map((value) =>
    text([x(value), HEIGHT - BOTTOM + 18], 'middle', String(value)),
  );
  const drawn = lines.flatMap(({ name, color, points: own }, index) => [
    `<polyline fill="none" stroke="${color}" stroke-width="2" stroke-dasharray="${DASHES[index % DASHES.length]}" points="${own.map(([a, b]) => `${x(a)},${y(b)}`).join(' ')}"/>`,
    ...own.map(([a, b]) => `<circle cx="${x(a)}" cy="${y(b)}" r="3.5" fill="${color}"/>`),
    `<rect x="${WIDTH - RIGHT + 12}" y="${TOP + index * 20}" width="12" height="12" fill="${color}"/>`,
    text([WIDTH - RIGHT + 30, TOP + 10 + index * 20], 'start', name),
  ]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text([LEFT, 22], 'start', title, ' font-size="15"'),
    text([LEFT - 8, TOP - 8], 'end', yAxis),
    ...grid,
    ...ticks,
    text([(LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12], 'middle', 'workers'),
    ...drawn,
    '</svg>',
    '',
  ].join('\n');
}

/** 1, 2 or 5 times a power of ten, so that there are four to ten lines. */
function niceStep(max: number): number {
  const power = 10 ** Math.floor(Math.log10(max / 4));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => max / step <= 8) ?? power * 10;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
