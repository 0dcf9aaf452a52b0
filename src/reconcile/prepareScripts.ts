import { splitScript } from '../initSql/splitScript.ts';
import type { Script } from '../initSql/types.ts';
import type { Spec } from '../spec/types.ts';

/**
 * Reads every initSQL before anything is connected to: a script that does not parse is a fault of the spec. The parser
 * is loaded only when there is a script.
 */
export async function prepareScripts(spec: Spec): Promise<ReadonlyMap<string, Script>> {
  const scripts = new Map<string, Script>();
  for (const database of spec.databases) {
    if (database.initSQL === undefined) continue;
    const script = await splitScript(database.initSQL, database.name);
    if (script.units.length > 0) scripts.set(database.name, script);
  }
  return scripts;
}
