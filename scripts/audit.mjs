// node scripts/audit.mjs: known vulnerabilities of the packages that the program is built from. Exit code 1: there are
// some; 75: not run, because the registry offers no audits or cannot be reached.
import { spawnSync } from 'node:child_process';

const { status, stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json', '--loglevel=silent'], {
  encoding: 'utf8',
});
const report = parse(stdout);
if (report?.metadata?.vulnerabilities === undefined) {
  console.log(`NOT RUN: npm audit: ${report?.message ?? `no report, exit code ${status}`}`);
  process.exitCode = 75;
} else {
  for (const { name, severity, range } of Object.values(report.vulnerabilities))
    console.log(`${severity}: ${name} ${range}`);
  console.log(`${report.metadata.vulnerabilities.total} known vulnerabilities`);
  process.exitCode = status === 0 ? 0 : 1;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
