import type { Command } from 'commander';

/** What `--help` of a command says below its options. */
export interface Help {
  /** Command lines without the program's name, each with what it does. */
  readonly examples: readonly (readonly [line: string, does: string])[];
  readonly exitCodes: readonly ExitCode[];
}

export type ExitCode = keyof typeof MEANINGS;

/** README.md, "Exit codes". */
const MEANINGS = {
  0: 'done',
  1: 'failed; running again may help',
  2: 'the spec or the command line is wrong; correct it first',
  3: 'refused: it would destroy or contradict what exists',
  10: 'there are changes',
  130: 'stopped by Ctrl-C (143: by SIGTERM, 141: nobody reads the output); what is done stays done',
} as const;

export function addHelp(command: Command, { examples, exitCodes }: Help): Command {
  const program = command.parent?.name() ?? '';
  const codes = exitCodes.map((code) => `  ${String(code).padEnd(5)}${MEANINGS[code]}`);
  const lines = examples.map(([line, does]) => `  ${program} ${line}\n      ${does}`);
  return command.addHelpText(
    'after',
    `\nExamples:\n${lines.join('\n')}\n\nExit codes:\n${codes.join('\n')}\n\nDocuments: docs/QUICKSTART.md, docs/DATABASE_MANAGEMENT.md, docs/SPEC.md`,
  );
}
