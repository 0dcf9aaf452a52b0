import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The JSON Schema of specs that came with this program, which editors check and complete with; not in the job's image. */
export function schemaFile(): string | undefined {
  const start = path.dirname(fileURLToPath(import.meta.url));
  // Above this file in the sources as in the bundle.
  for (let folder = start; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const candidate = path.join(folder, 'schema', 'spec.schema.json');
    if (existsSync(candidate)) return candidate;
  }
  return undefined;
}

/** The line by which editors find it, for a spec in this folder (yaml-language-server, "Using inlined schema"). */
export function schemaLine(folder: string): string {
  const schema = schemaFile();
  return schema === undefined ? '' : `# yaml-language-server: $schema=${path.relative(folder, schema)}\n`;
}
