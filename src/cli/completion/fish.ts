import { type Completed, type CompletedFlag, spellingsOf, valuedFlags } from "./completed.ts";

/** For fish 3.4 and newer. */
export function fishScript(commands: readonly Completed[]): string {
  return `# fish completion for dewy, made by: dewy completion fish
function __dewy_command
  set -l valued ${valuedFlags(commands).flatMap(spellingsOf).join(" ")}
  set -l known ${commands.map(({ words }) => quoted(words.join(" "))).join(" ")}
  set -l found ""
  set -l skip 0
  for word in (commandline -opc)[2..-1]
    if test $skip = 1
      set skip 0
    else if test "$word" = --
      echo -- --
      return
    else if contains -- $word $valued
      set skip 1
    else if contains -- (string trim "$found $word") $known
      set found (string trim "$found $word")
    end
  end
  echo -- $found
end
function __dewy_is
  set -l found (__dewy_command)
  test "$found" = "$argv"
end
complete -c dewy -e
complete -c dewy -f
complete -c dewy -n '__dewy_is' -a help -d 'Explain dewy or one command'
complete -c dewy -n '__dewy_is --' -F
${commands.flatMap(linesOf).join("\n")}
`;
}

function linesOf({ words, summary, flags, argument }: Completed): string[] {
  const word = words.at(-1) ?? "";
  const within = `'__dewy_is ${words.join(" ")}'`;
  const before = `'${["__dewy_is", ...words.slice(0, -1)].join(" ")}'`;
  return [
    `complete -c dewy -n ${before} -a ${word} -d ${quoted(summary)}`,
    ...argument.map((each) => `complete -c dewy -n ${within} -a ${each}`),
    ...flags.map((flag) => `complete -c dewy -n ${within} ${flagOptions(flag)}`),
  ];
}

function flagOptions({ name, short, help, value }: CompletedFlag): string {
  const letter = short === null ? "" : ` -s ${short}`;
  return `-l ${name}${letter}${valueOptions(value)} -d ${quoted(help)}`;
}

function valueOptions(value: CompletedFlag["value"]): string {
  if (value === null) return "";
  switch (value.kind) {
    case "words":
      return ` -x -a ${quoted(value.words.join(" "))}`;
    case "directory":
      return " -x -a '(__fish_complete_directories)'";
    case "file":
      return " -r -F";
    case "any":
      return " -x";
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
