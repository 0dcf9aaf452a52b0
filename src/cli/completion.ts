import { Argument, type Command, type Option } from 'commander';
import { addHelp } from './help.ts';
import type { Runner } from './runner.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export function addCompletion(program: Command, runner: Runner): void {
  const command = program
    .command('completion')
    .description('print the completion of commands and options for a shell')
    .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices(SHELLS));
  command.action((shell: Shell) => runner.report(false, async () => ({ text: completionFor(program, shell) })));
  addHelp(command, {
    examples: [
      ['completion bash > /etc/bash_completion.d/citus-databases', 'for bash'],
      ['completion zsh > ~/.zfunc/_citus-databases', 'for zsh, where ~/.zfunc is in fpath'],
      ['completion fish > ~/.config/fish/completions/citus-databases.fish', 'for fish'],
    ],
    exitCodes: [0, 2],
  });
}

/** From the same definitions as --help, so that neither can lack what the other has. */
export function completionFor(program: Command, shell: Shell): string {
  if (shell === 'fish') return fish(program);
  const script = bash(program);
  return shell === 'bash' ? script : `#compdef citus-databases\nautoload -U +X bashcompinit && bashcompinit\n${script}`;
}

function bash(program: Command): string {
  const cases = program.commands.flatMap((command) => [
    ...command.options.flatMap((option) =>
      option.argChoices === undefined
        ? []
        : flags(option).map((flag) => `    ${command.name()}:${flag}) words='${option.argChoices?.join(' ')}' ;;`),
    ),
    `    ${command.name()}:*) words='${words(command).join(' ')}' ;;`,
  ]);
  return `# Completion of citus-databases.
_citus_databases() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} words
  if ((COMP_CWORD == 1)); then
    words='${program.commands.map((command) => command.name()).join(' ')} --help --version'
  else case "\${COMP_WORDS[1]}:$previous" in
${cases.join('\n')}
  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _citus_databases citus-databases
`;
}

function words(command: Command): readonly string[] {
  const choices = command.registeredArguments.flatMap((argument) => argument.argChoices ?? []);
  return [...choices, ...command.options.flatMap(flags), '--help'];
}

function flags({ short, long }: Option): readonly string[] {
  return [short, long].filter((flag) => flag !== undefined && flag !== null);
}

function fish(program: Command): string {
  const complete = 'complete -c citus-databases';
  const lines = program.commands.flatMap((command) => [
    `${complete} -f -n __fish_use_subcommand -a ${command.name()} -d ${quote(command.description())}`,
    ...command.options.map((option) => {
      const names = [
        ...(option.short === undefined ? [] : [`-s ${option.short.slice(1)}`]),
        ...(option.long === undefined || option.long === null ? [] : [`-l ${option.long.slice(2)}`]),
      ];
      const values = option.required
        ? option.argChoices === undefined
          ? ' -r'
          : ` -x -a ${quote(option.argChoices.join(' '))}`
        : '';
      const scope = quote(`__fish_seen_subcommand_from ${command.name()}`);
      return `${complete} -n ${scope} ${names.join(' ')}${values} -d ${quote(option.description)}`;
    }),
  ]);
  return `# Completion of citus-databases.\n${lines.join('\n')}\n`;
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
