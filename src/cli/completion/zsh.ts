import type { Completed, CompletedFlag } from "./completed.ts";

/** To be sourced, or put as `_dewy` into a directory of $fpath. */
export function zshScript(commands: readonly Completed[]): string {
  const firsts = commands.filter(({ words }) => words.length === 1);
  return `#compdef dewy
# zsh completion for dewy, made by: dewy completion zsh
_dewy() {
  local curcontext="$curcontext" state line
  typeset -A opt_args
  _arguments -C '(- *)'{-h,--help}'[print help]' '(- *)'{-v,--version}'[print the version]' '1: :->command' '*:: :->rest' && return
  case $state in
    command)
      local -a dewy_commands
      dewy_commands=(
        'help:Explain dewy or one command'
${firsts.map(({ words, summary }) => `        ${quoted(`${words[0]}:${summary.replaceAll(":", "\\:")}`)}`).join("\n")}
      )
      _describe -t commands 'dewy command' dewy_commands ;;
    rest)
      case $line[1] in
${firsts.map((command) => branch(command, commands)).join("\n")}
      esac ;;
  esac
}
if [ "$funcstack[1]" = _dewy ]; then _dewy "$@"; else compdef _dewy dewy; fi
`;
}

function branch(command: Completed, all: readonly Completed[]): string {
  const [name = ""] = command.words;
  const further = all.filter(({ words }) => words.length > 1 && words[0] === name);
  const words = [...command.argument, ...further.map((more) => more.words[1] ?? "")];
  const flags = [command, ...further].flatMap((each) => each.flags);
  const unique = flags.filter(
    (flag, index) => flags.findIndex(({ name: other }) => other === flag.name) === index,
  );
  const rest = command.runsApp
    ? ["'*:::command:_normal'"]
    : words.length > 0
      ? [`'1: :(${words.join(" ")})'`]
      : [];
  const specs = [...unique.flatMap(specsOf), ...rest];
  return `        ${name})\n          _arguments \\\n            ${specs.join(" \\\n            ")} ;;`;
}

function specsOf({ name, short, help, value }: CompletedFlag): string[] {
  const text = help
    .replaceAll("\\", "\\\\")
    .replaceAll("[", "\\[")
    .replaceAll("]", "\\]")
    .replaceAll(":", "\\:");
  const tail = value === null ? `[${text}]` : `[${text}]:${name}:${actionOf(value)}`;
  const long = `--${name}${value === null ? "" : "="}${tail}`;
  return short === null
    ? [quoted(`*${long}`)]
    : [quoted(`*${long}`), quoted(`*-${short}${value === null ? "" : "+"}${tail}`)];
}

function actionOf(value: NonNullable<CompletedFlag["value"]>): string {
  switch (value.kind) {
    case "words":
      return `(${value.words.join(" ")})`;
    case "directory":
      return "_files -/";
    case "file":
      return "_files";
    case "any":
      return " ";
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
