import { throwIfInterrupted } from '../concurrency/interrupt.ts';
import { READ_SCRIPT_DEADLINE_MS, recordReadScript } from '../objects/readScript.ts';
import type { NodeSpec } from '../spec/types.ts';
import { digestOf } from './observeSituation.ts';
import type { GivenScript } from './prepareScripts.ts';
import type { Run } from './run.ts';

/** No change to what is declared, so it counts as none; where it fails, the next run reads the script once more. */
export async function rememberScript(run: Run, coordinator: NodeSpec, script: GivenScript | undefined): Promise<void> {
  if (script?.kind !== 'read' || script.fingerprint === undefined) return;
  const read = { name: run.database, script: script.fingerprint, ledger: digestOf(script) };
  try {
    const session = await run.session({ node: coordinator, scope: 'server' });
    await session.script(recordReadScript(read), { deadlineMs: READ_SCRIPT_DEADLINE_MS, signal: run.signal });
  } catch {
    throwIfInterrupted(run.signal);
  }
}
