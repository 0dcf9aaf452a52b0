/**
 * Messages of the extended query protocol (PostgreSQL documentation, "Message Formats"), several statements in one buffer:
 * pg writes each message by itself, which costs more than the server takes to execute a small statement.
 */

/** One thing to do on the server. All but `parse` are answered by CommandComplete. */
export type Step =
  /** Parses, binds and executes a statement without parameters. */
  | { readonly kind: 'statement'; readonly sql: string }
  /** Names a statement for `prepared`; what had the name before is forgotten. */
  | { readonly kind: 'parse'; readonly name: string; readonly sql: string }
  | { readonly kind: 'prepared'; readonly name: string; readonly values: readonly string[] };

const EXECUTE = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0]);
export const FLUSH = Buffer.from([0x48, 0, 0, 0, 4]);
export const SYNC = Buffer.from([0x53, 0, 0, 0, 4]);
/** The unnamed portal of the unnamed statement: no parameters, results as text. */
const BIND_UNNAMED = Buffer.from([0x42, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0]);

export function messagesOf(step: Step): readonly Buffer[] {
  switch (step.kind) {
    case 'statement':
      return [parse('', step.sql), BIND_UNNAMED, EXECUTE];
    case 'parse':
      return [message('C', [text(`S${step.name}`)]), parse(step.name, step.sql)];
    case 'prepared':
      return [bind(step.name, step.values), EXECUTE];
    default:
      return step satisfies never;
  }
}

function parse(name: string, sql: string): Buffer {
  return message('P', [text(name), text(sql), int16(0)]);
}

function bind(name: string, values: readonly string[]): Buffer {
  const parameters = values.flatMap((value) => {
    const bytes = Buffer.from(value, 'utf8');
    return [int32(bytes.length), bytes];
  });
  return message('B', [text(''), text(name), int16(0), int16(values.length), ...parameters, int16(0)]);
}

function message(type: string, parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 4);
  return Buffer.concat([Buffer.from(type, 'latin1'), int32(length), ...parts], length + 1);
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`, 'utf8');
}

function int16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}
