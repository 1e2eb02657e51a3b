import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandNames } from "../../src/cli/arguments/commands.ts";
import { flagsOf } from "../../src/cli/arguments/flags.ts";
import { completedCommands } from "../../src/cli/completion/completed.ts";
import { showCompletion } from "../../src/cli/completion/completion.ts";
import { tempDir } from "../support/temp-dir.ts";

const bashArrays = (words: readonly string[]) =>
  words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");

function scriptOf(shell: string): string {
  let script = "";
  showCompletion(shell, (text) => {
    script += text;
  });
  return script;
}

/** What each shell offers for the last of the words. */
const shells: Record<string, (script: string, words: readonly string[], directory: string) => string[]> = {
  bash: (script, words, directory) =>
    run(["bash", "--norc"], directory, [
      `source '${script}'`,
      `COMP_WORDS=(${bashArrays(words)})`,
      `COMP_CWORD=${words.length - 1}`,
      "_dewy",
      `printf "%s\\n" "\${COMPREPLY[@]}"`,
    ]),
  fish: (script, words, directory) =>
    run(["fish", "--no-config"], directory, [`source '${script}'`, `complete -C '${words.join(" ")}'`]).map(
      (line) => line.split("\t")[0] ?? "",
    ),
};

function run(shell: readonly string[], cwd: string, lines: readonly string[]): string[] {
  const { stdout, stderr } = Bun.spawnSync([...shell], { stdin: Buffer.from(`${lines.join("\n")}\n`), cwd });
  expect(stderr.toString()).toBe("");
  return stdout
    .toString()
    .split("\n")
    .filter((line) => line !== "");
}

/** zsh completes at its line editor only: it runs in a terminal of its own. Answers each line after its tab. */
function zshCompletes(lines: readonly string[]): string[] {
  using dir = tempDir();
  const script = join(dir.path, "script");
  writeFileSync(script, scriptOf("zsh"));
  const asked = [
    "zmodload zsh/zpty",
    "zpty z zsh -f -i",
    `zpty -w z 'PS1=; autoload -Uz compinit && compinit -u -D && source ${script}; print REA""DY'`,
    "zpty -r z got '*READY*'",
    ...lines.flatMap((line) => [
      `zpty -w -n z $'${line}\\t\\C-aprint -r -- "GOT:" \\n'`,
      "zpty -r z got $'*GOT: dewy*\\n'",
      'print -r -- "$got"',
    ]),
    "zpty -d z",
  ];
  const { stdout } = Bun.spawnSync(["zsh", "-f", "-c", asked.join("\n")], { cwd: dir.path, timeout: 15_000 });
  return [...stdout.toString().matchAll(/GOT: (dewy[^\r\n]*)/g)].map((match) => match[1]?.trimEnd() ?? "");
}

const installed = Object.keys(shells).filter((shell) => Bun.which(shell) !== null);

describe.each(Object.keys(shells))("completion in %s", (shell) => {
  const offered = (...words: string[]) => {
    using directory = tempDir();
    const script = join(directory.path, "script");
    writeFileSync(script, scriptOf(shell));
    return shells[shell]?.(script, ["dewy", ...words], directory.path) ?? [];
  };
  const when = test.skipIf(!installed.includes(shell));

  when("offers the commands", () => {
    const words = offered("");
    for (const name of commandNames) expect(words).toContain(name.split(" ")[0] ?? "");
    expect(offered("roll")).toEqual(["rollback"]);
  });

  when("offers a command's flags, and only its own", () => {
    const flags = offered("rollback", "--").filter((word) => word.startsWith("--"));
    expect(flags.map((flag) => flag.replace(/=$/, "")).sort()).toEqual(
      flagsOf("rollback")
        .map(({ name }) => `--${name}`)
        .sort(),
    );
    expect(offered("hold", "--un").map((flag) => flag.replace(/=$/, ""))).toEqual(["--until"]);
  });

  when("offers what a flag may be, and the words of an argument", () => {
    expect(offered("logs", "--level", "").sort()).toEqual(["debug", "error", "info", "warn"]);
    expect(offered("completion", "").sort()).toEqual(["bash", "fish", "zsh"]);
    expect(offered("container", "li")).toContain("list");
  });

  when("takes no value of a flag for a command", () => {
    expect(offered("--root", "status", "hold", "--rea").map((flag) => flag.replace(/=$/, ""))).toEqual([
      "--reason",
    ]);
  });
});

describe("in bash", () => {
  const offered = (...words: string[]) => {
    using directory = tempDir();
    const script = join(directory.path, "script");
    writeFileSync(script, scriptOf("bash"));
    return shells["bash"]?.(script, ["dewy", ...words], directory.path) ?? [];
  };

  test("a value behind = is completed, as bash splits it", () => {
    expect(offered("logs", "--level", "=", "wa")).toEqual(["warn"]);
    expect(offered("logs", "--level", "=").sort()).toEqual(["debug", "error", "info", "warn"]);
    expect(offered("logs", "--level", "=", "warn", "--fo")).toEqual(["--follow"]);
  });

  test("a directory is completed by directories, and behind -- comes the app", () => {
    expect(offered("status", "--root", "/us")).toEqual(["/usr"]);
    expect(offered("server", "--", "/etc/passw")).toContain("/etc/passwd");
  });
});

test.skipIf(Bun.which("zsh") === null)(
  "completion in zsh ends what was begun",
  () => {
    const lines = [
      ["dewy rollb", "dewy rollback"],
      ["dewy hold --unt", "dewy hold --until"],
      ["dewy logs --level wa", "dewy logs --level warn"],
      ["dewy logs --fol", "dewy logs --follow"],
      ["dewy completion zs", "dewy completion zsh"],
      ["dewy container li", "dewy container list"],
      ["dewy config sh", "dewy config show"],
      ["dewy status --root /us", "dewy status --root /usr"],
    ] as const;
    const completed = zshCompletes(lines.map(([begun]) => begun));
    expect(completed.map((line) => line.replace(/=$/, ""))).toEqual(lines.map(([, whole]) => whole));
  },
  20_000,
);

test("every command is completed with every flag it has", () => {
  for (const { words, flags } of completedCommands()) {
    const name = commandNames.find((command) => command === words.join(" "));
    expect(name === undefined ? [] : flagsOf(name).map((flag) => flag.name)).toEqual(
      flags.map((flag) => flag.name),
    );
  }
});
