import { type Completed, type CompletedFlag, spellingsOf, valuedFlags } from "./completed.ts";

/** For bash 3.2 and newer, without the bash-completion package. */
export function bashScript(commands: readonly Completed[]): string {
  return `# bash completion for dewy, made by: dewy completion bash
_dewy() {
  local cur prev command word flags value words i
  cur=\${COMP_WORDS[COMP_CWORD]}
  prev=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  # bash makes --flag=value three words.
  if [ "$cur" = "=" ]; then cur=; elif [ "$prev" = "=" ]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  command=
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [ "$word" = "--" ]; then COMPREPLY=($(compgen -c -f -- "$cur")); return; fi
    case "$word" in
      ${valuedFlags(commands).flatMap(spellingsOf).join("|")}) i=$((i + 1)); [ "\${COMP_WORDS[i]}" = "=" ] && i=$((i + 1)) ;;
      -*) ;;
      *) case "\${command:+$command }$word" in
        ${names(commands).map(quoted).join("|")}) command="\${command:+$command }$word" ;;
      esac ;;
    esac
  done
  case "$command" in
${commands.map(branch).join("\n")}
    *) words=${quoted([...new Set(["help", ...commands.map(({ words }) => words[0] ?? "")])].join(" "))} flags="--help --version" value= ;;
  esac
  case "$value" in
    "") ;;
    @directory) COMPREPLY=($(compgen -d -- "$cur")); return ;;
    @file) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    @any) return ;;
    *) COMPREPLY=($(compgen -W "$value" -- "$cur")); return ;;
  esac
  case "$cur" in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
  esac
}
complete -o filenames -F _dewy dewy
`;
}

function names(commands: readonly Completed[]): string[] {
  return commands.map(({ words }) => words.join(" "));
}

function branch(command: Completed, _: number, all: readonly Completed[]): string {
  const name = command.words.join(" ");
  const further = all.map(({ words }) => words).filter((words) => words.length > 1 && words[0] === name);
  const words = [...further.map((more) => more[1] ?? ""), ...command.argument].join(" ");
  const flags = command.flags.map((flag) => `--${flag.name}`).join(" ");
  const values = command.flags.flatMap((flag) =>
    flag.value === null ? [] : [`${spellingsOf(flag).join("|")}) value=${quoted(shown(flag.value))} ;;`],
  );
  return `    ${quoted(name)}) words=${quoted(words)} flags=${quoted(flags)} value=
      case "$prev" in
        ${[...values, "*) ;;"].join("\n        ")}
      esac ;;`;
}

function shown(value: NonNullable<CompletedFlag["value"]>): string {
  return value.kind === "words" ? value.words.join(" ") : `@${value.kind}`;
}

function quoted(text: string): string {
  return `"${text}"`;
}
