import { findHelm } from './helm.ts';

/** Once before the chart's tests, so that they do not all install Helm at the same time. */
export function setup(): void {
  process.env['HELM'] = findHelm();
}
